import { describe, expect, it } from "vitest";
import * as view from "../../src/stage/view";
import { randomFrom } from "../random";

const VIDEO = { width: 1280, height: 720 };
const STAGE = { width: 948, height: 541 };

describe("the fitted view", () => {
  it("shows all of the video, centred", () => {
    const made = view.fitted(VIDEO, STAGE);
    expect(made.scale).toBeCloseTo(948 / 1280, 12);
    expect(made.left).toBe(0);
    expect(made.top).toBe(Math.round((541 - 720 * made.scale) / 2));
  });
});

describe("points", () => {
  it("come back through the view", () => {
    const random = randomFrom(9);
    for (let turn = 0; turn < 50; turn++) {
      const made = { scale: 0.1 + random() * 10, left: random() * 900, top: -random() * 900 };
      const point = { x: random() * 1280, y: random() * 720 };
      const back = view.toVideo(made, view.toView(made, point));
      expect(back.x).toBeCloseTo(point.x, 8);
      expect(back.y).toBeCloseTo(point.y, 8);
    }
  });

  it("stay where the wheel turns", () => {
    const pointer = { x: 300, y: 200 };
    const before = view.fitted(VIDEO, STAGE);
    const after = view.zoomed(before, pointer, 2.5);
    const fixed = view.toVideo(before, pointer);
    expect(view.toView(after, fixed).x).toBeCloseTo(pointer.x, 8);
    expect(view.toView(after, fixed).y).toBeCloseTo(pointer.y, 8);
    expect(after.scale).toBeCloseTo(before.scale * 2.5, 12);
  });
});

describe("limits", () => {
  it("bound the zoom", () => {
    const made = view.fitted(VIDEO, STAGE);
    expect(view.zoomed(made, { x: 0, y: 0 }, 1e6).scale).toBe(view.LARGEST_SCALE);
    expect(view.zoomed(made, { x: 0, y: 0 }, 1e-6).scale).toBeGreaterThan(0.01);
  });

  it("keep some of the video in sight", () => {
    for (const by of [1e5, -1e5]) {
      const made = view.inSight(
        view.moved(view.fitted(VIDEO, STAGE), { x: by, y: by }),
        VIDEO,
        STAGE,
      );
      const shown = view.shownAt(made, { left: 0, top: 0, right: 1280, bottom: 720 });
      expect(shown.left).toBeLessThan(STAGE.width);
      expect(shown.right).toBeGreaterThan(0);
      expect(shown.top).toBeLessThan(STAGE.height);
      expect(shown.bottom).toBeGreaterThan(0);
    }
  });
});

describe("samples", () => {
  it("are the pixels under the middle of the screen's pixels", () => {
    expect([...view.sampled(6, 1, 2, 2)]).toEqual([-1, 0, 0, 1, 1, -1]);
    expect([...view.sampled(3, 0, 6, 0.5)]).toEqual([1, 3, 5]);
  });

  it("agree with the way back from the screen", () => {
    const made = { scale: 0.7411, left: 13, top: 0 };
    view.sampled(948, made.left, 1280, made.scale).forEach((pixel, i) => {
      const x = Math.floor(view.toVideo(made, { x: i + 0.5, y: 0 }).x);
      expect(pixel).toBe(x >= 0 && x < 1280 ? x : -1);
    });
  });
});
