import { describe, expect, it } from "vitest";
import { frameUnder, pannedWindow, pixelOf, ticksOf, zoomedWindow } from "../../src/timeline/axis";
import { columnsOf, largestOf } from "../../src/timeline/lanes";
import { randomFrom } from "../random";

describe("columns of a lane", () => {
  const random = randomFrom(4);
  const area = Int32Array.from({ length: 1000 }, () =>
    Math.max(-1, Math.floor(random() * 500) - 50),
  );
  const confidence = Float32Array.from(area, (pixels) => (pixels > 0 ? random() : Number.NaN));
  const track = { area, confidence };

  it("show the largest area and the smallest confidence of their frames", () => {
    const columns = columnsOf(track, { from: 100, length: 700 }, 70);
    expect(columns).toHaveLength(70);
    columns.forEach((column, i) => {
      const frames = [...area.subarray(100 + 10 * i, 110 + 10 * i)];
      const sure = [...confidence.subarray(100 + 10 * i, 110 + 10 * i)].filter(
        (c) => !Number.isNaN(c),
      );
      expect(column.area).toBe(Math.max(...frames));
      expect(column.confidence).toBe(sure.length > 0 ? Math.min(...sure) : Number.NaN);
    });
  });

  it("repeat frames where there are fewer than pixels", () => {
    const columns = columnsOf(track, { from: 3, length: 2 }, 6);
    const expected = [3, 3, 3, 4, 4, 4].map((frame) => area[frame]);
    expect(columns.map((column) => column.area)).toEqual(expected);
  });

  it("miss no frame, whatever the width", () => {
    const single = { area: new Int32Array(1000).fill(-1), confidence };
    single.area[777] = 5;
    for (const width of [1, 7, 333, 999, 1000, 1234]) {
      const columns = columnsOf(single, { from: 0, length: 1000 }, width);
      expect(Math.max(...columns.map((column) => column.area))).toBe(5);
    }
  });

  it("are scaled by the largest area", () => {
    expect(largestOf(track)).toBe(Math.max(...area));
    expect(largestOf({ area: new Int32Array(3), confidence })).toBe(1);
  });
});

describe("the axis", () => {
  it("leads from frames to pixels and back", () => {
    const window = { from: 250, length: 500 };
    for (const frame of [250, 251, 600, 749]) {
      expect(frameUnder(pixelOf(frame + 0.5, window, 913), window, 913)).toBe(frame);
    }
  });

  it("has ticks at round numbers, far enough apart", () => {
    for (const length of [10, 60, 999, 100_000]) {
      const ticks = ticksOf({ from: 3, length }, 900, 70);
      const step = ticks[1] - ticks[0];
      expect([1, 2, 5]).toContain(step / 10 ** Math.floor(Math.log10(step)));
      expect((step * 900) / length).toBeGreaterThanOrEqual(70);
      expect(ticks.length).toBeGreaterThan(1);
    }
  });

  it("zooms around a frame and stays within the clip", () => {
    const all = { from: 0, length: 1000 };
    const closer = zoomedWindow(all, 600, 0.5, 1000);
    expect(closer).toEqual({ from: 300, length: 500 });
    expect(pixelOf(600, closer ?? all, 900)).toBeCloseTo(pixelOf(600, all, 900), 9);
    expect(zoomedWindow(all, 600, 2, 1000)).toBeNull();
    expect(pannedWindow({ from: 300, length: 500 }, 900, 1000)).toEqual({ from: 500, length: 500 });
    expect(pannedWindow({ from: 300, length: 500 }, -900, 1000)).toEqual({ from: 0, length: 500 });
  });

  it("never shows less than ten frames", () => {
    expect(zoomedWindow({ from: 0, length: 12 }, 5, 0.01, 1000)?.length).toBe(10);
  });
});
