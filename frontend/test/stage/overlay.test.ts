import { describe, expect, it } from "vitest";
import type { ObjectInfo } from "../../src/model/protocol";
import { whole } from "../../src/stage/geometry";
import { centresOf, colour, sampleLabels } from "../../src/stage/overlay";
import { overlayStyle, PALETTE, packed, readableOn, rgbOf } from "../../src/stage/palette";
import { sampled } from "../../src/stage/view";
import { randomFrom } from "../random";

const SIZE = { width: 24, height: 16 };

const objects: ObjectInfo[] = Array.from({ length: 15 }, (_, i) => ({
  slot: i + 1,
  id: i + 1,
  name: "",
  colour: PALETTE[i % PALETTE.length],
  locked: false,
}));
const OPTIONS = { tint: 0.45, hidden: new Set<number>(), dashed: false };
const style = overlayStyle(objects, OPTIONS);

function square(slot: number, left: number, top: number, side: number): Uint8Array {
  const slots = new Uint8Array(SIZE.width * SIZE.height);
  for (let y = top; y < top + side; y++) slots.fill(slot, y * 24 + left, y * 24 + left + side);
  return slots;
}

function coloured(slots: Uint8Array, made = style): Uint32Array {
  const out = new Uint32Array(slots.length);
  colour(slots, SIZE, made, out, whole(SIZE));
  return out;
}

describe("a mask on the screen", () => {
  const out = coloured(square(1, 5, 3, 9));
  const at = (x: number, y: number) => out[y * 24 + x];

  it("has the object's colour under the tint inside", () => {
    const [red, green, blue] = rgbOf("#56b4e9");
    const alpha = Math.round(0.45 * 255);
    expect(at(9, 7)).toBe(((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0);
  });

  it("has a contour of two pixels in the full colour", () => {
    expect([at(5, 7), at(6, 7)]).toEqual([style.contour[1], style.contour[1]]);
    expect(at(7, 7)).toBe(style.fill[1]);
  });

  it("has a dark line around it, and nothing beyond", () => {
    expect(at(4, 7) >>> 24).toBeGreaterThan(150);
    expect(at(4, 7) & 0xffffff).toBe(0);
    expect(at(3, 7)).toBe(0);
  });

  it("keeps contours, but no tint, as an outline", () => {
    const outline = overlayStyle(objects, { ...OPTIONS, tint: 0 });
    const only = coloured(square(1, 5, 3, 9), outline);
    expect(only[7 * 24 + 9] >>> 24).toBe(0);
    expect(only[7 * 24 + 5]).toBe(outline.contour[1]);
  });

  it("has gaps in its contour when it is outdated", () => {
    const dashed = coloured(square(1, 5, 3, 9), { ...style, dashed: true });
    const row = Array.from({ length: 9 }, (_, i) => dashed[3 * 24 + 5 + i]);
    expect(new Set(row)).toEqual(new Set([style.contour[1], style.fill[1]]));
  });

  it("is hatched from the eighth object on", () => {
    expect([style.hatching[7], style.hatching[8], style.hatching[15]]).toEqual([0, 1, 2]);
    for (const slot of [8, 15]) {
      const hatched = coloured(square(slot, 1, 1, 14));
      const inside = Array.from({ length: 8 }, (_, i) => hatched[8 * 24 + 4 + i]);
      expect(new Set(inside)).toEqual(new Set([style.fill[slot], style.contour[slot]]));
    }
  });
});

describe("repainting a part", () => {
  it("gives what repainting all gives", () => {
    const random = randomFrom(11);
    const labels = { data: new Uint8Array(40 * 30), width: 40 };
    const grid = { columns: sampled(24, -3, 40, 0.8), rows: sampled(16, 2, 30, 0.8) };
    const [slots, out] = [new Uint8Array(24 * 16), new Uint32Array(24 * 16)];
    for (let turn = 0; turn < 60; turn++) {
      const [left, top] = [Math.floor(random() * 20), Math.floor(random() * 12)];
      const rect = { left, top, right: left + 3, bottom: top + 3 };
      for (let y = rect.top; y < rect.bottom; y++) {
        for (let x = rect.left; x < rect.right; x++) {
          labels.data[grid.rows[y] * 40 + grid.columns[x]] = turn % 4;
        }
      }
      sampleLabels(labels, grid, style.shown, slots, rect);
      colour(slots, SIZE, style, out, rect);
      const again = new Uint8Array(24 * 16);
      sampleLabels(labels, grid, style.shown, again, whole(SIZE));
      expect([...out]).toEqual([...coloured(again)]);
    }
  });

  it("shows no hidden object", () => {
    const hidden = overlayStyle(objects, { ...OPTIONS, hidden: new Set([1]) });
    const slots = new Uint8Array(24 * 16);
    const grid = { columns: sampled(24, 0, 24, 1), rows: sampled(16, 0, 16, 1) };
    const labels = { data: square(1, 5, 3, 9), width: 24 };
    sampleLabels(labels, grid, hidden.shown, slots, whole(SIZE));
    expect(slots.every((slot) => slot === 0)).toBe(true);
  });
});

describe("numbers of masks", () => {
  it("stand in the middle", () => {
    const [centre] = centresOf(square(2, 6, 3, 9), SIZE);
    expect(centre.slot).toBe(2);
    expect(Math.abs(centre.x - 10)).toBeLessThanOrEqual(2);
    expect(Math.abs(centre.y - 7)).toBeLessThanOrEqual(2);
  });

  it("know which masks they would cover", () => {
    const [small] = centresOf(square(2, 6, 3, 9), SIZE);
    const [large] = centresOf(new Uint8Array(100 * 100).fill(1), { width: 100, height: 100 });
    expect([small.small, large.small]).toEqual([true, false]);
  });

  it("stand on the mask, even if its middle is a hole", () => {
    const ring = square(2, 3, 2, 12);
    for (let y = 5; y < 11; y++) ring.fill(0, y * 24 + 6, y * 24 + 12);
    const [centre] = centresOf(ring, SIZE);
    expect(ring[centre.y * 24 + centre.x]).toBe(2);
  });
});

describe("colours", () => {
  it("are packed as ImageData stores them", () => {
    const bytes = new Uint8Array(Uint32Array.of(packed("#102030", 1)).buffer);
    expect([...bytes]).toEqual([0x10, 0x20, 0x30, 255]);
  });

  it("carry readable numbers", () => {
    expect(readableOn("#f0e442")).toBe("#000000");
    expect(readableOn("#0072b2")).toBe("#ffffff");
  });
});
