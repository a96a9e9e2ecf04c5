import { describe, expect, it } from "vitest";
import { rasterCapsule, type Span } from "../../src/stage/capsule";
import type { Point, Rect, Size } from "../../src/stage/geometry";
import { rasterPolygon } from "../../src/stage/polygon";
import { randomFrom } from "../random";

const SIZE = { width: 40, height: 30 };

function painted(size: Size, raster: (span: Span) => Rect): { pixels: Uint8Array; rect: Rect } {
  const pixels = new Uint8Array(size.width * size.height);
  const rect = raster((y, from, to) => {
    for (let x = from; x < to; x++) pixels[y * size.width + x]++;
  });
  return { pixels, rect };
}

function slowly(size: Size, inside: (x: number, y: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: size.width * size.height }, (_, i) =>
    inside((i % size.width) + 0.5, Math.floor(i / size.width) + 0.5) ? 1 : 0,
  );
}

/** Distance from a point to a line, by the triangle's area and by its ends. */
function distance(p: Point, a: Point, b: Point): number {
  const length = Math.hypot(b.x - a.x, b.y - a.y);
  const toA = Math.hypot(p.x - a.x, p.y - a.y);
  const toB = Math.hypot(p.x - b.x, p.y - b.y);
  if (length === 0) return toA;
  const beyond = toA ** 2 > toB ** 2 + length ** 2 || toB ** 2 > toA ** 2 + length ** 2;
  if (beyond) return Math.min(toA, toB);
  return Math.abs((b.x - a.x) * (a.y - p.y) - (a.x - p.x) * (b.y - a.y)) / length;
}

function outside(pixels: Uint8Array, rect: Rect): number {
  return pixels.filter((value, i) => {
    const [x, y] = [i % SIZE.width, Math.floor(i / SIZE.width)];
    const within = x >= rect.left && x < rect.right && y >= rect.top && y < rect.bottom;
    return value !== 0 && !within;
  }).length;
}

describe("capsules", () => {
  const random = randomFrom(1);
  const point = () => ({ x: random() * 56 - 8, y: random() * 46 - 8 });

  it("equal a search of all pixels", () => {
    for (let turn = 0; turn < 300; turn++) {
      const [a, b] = [point(), turn % 4 === 0 ? null : point()];
      const radius = 0.3 + random() * (turn % 3 === 0 ? 20 : 3);
      const { pixels, rect } = painted(SIZE, (span) =>
        rasterCapsule(a, b ?? a, radius, SIZE, span),
      );
      const expected = slowly(SIZE, (x, y) => distance({ x, y }, a, b ?? a) <= radius);
      expect([...pixels]).toEqual([...expected]);
      expect(outside(pixels, rect)).toBe(0);
    }
  });

  it.each([
    ["level", { x: 3.5, y: 10.5 }, { x: 30.5, y: 10.5 }],
    ["upright", { x: 8, y: 2 }, { x: 8, y: 27 }],
    ["nearly level", { x: 2, y: 10 }, { x: 38, y: 10.01 }],
  ])("equal it for %s lines", (_, a, b) => {
    for (const radius of [0.5, 1, 4, 11.5]) {
      const { pixels } = painted(SIZE, (span) => rasterCapsule(a, b, radius, SIZE, span));
      const expected = slowly(SIZE, (x, y) => distance({ x, y }, a, b) <= radius);
      expect([...pixels]).toEqual([...expected]);
    }
  });

  it("of one pixel", () => {
    const at = { x: 5.5, y: 6.5 };
    const { pixels } = painted(SIZE, (span) => rasterCapsule(at, at, 0.5, SIZE, span));
    expect(pixels.reduce((sum, value) => sum + value, 0)).toBe(1);
    expect(pixels[6 * 40 + 5]).toBe(1);
  });
});

/** The rule of even and odd by winding around the point: count crossings to the left. */
function insideSlowly(points: Point[], x: number, y: number): boolean {
  let left = 0;
  points.forEach((a, i) => {
    const b = points[(i + 1) % points.length];
    const [low, high] = a.y < b.y ? [a, b] : [b, a];
    if (low.y <= y && y < high.y) {
      const side = (high.x - low.x) * (y - low.y) - (x - low.x) * (high.y - low.y);
      if (side <= 0) left++;
    }
  });
  return left % 2 === 1;
}

describe("polygons", () => {
  const random = randomFrom(2);

  it("equal a search of all pixels, crossing themselves too", () => {
    for (let turn = 0; turn < 300; turn++) {
      const points = Array.from({ length: 3 + (turn % 6) }, () => ({
        x: random() * 60 - 10,
        y: random() * 50 - 10,
      }));
      const { pixels, rect } = painted(SIZE, (span) => rasterPolygon(points, SIZE, span));
      const expected = slowly(SIZE, (x, y) => insideSlowly(points, x, y));
      expect([...pixels]).toEqual([...expected]);
      expect(outside(pixels, rect)).toBe(0);
    }
  });

  it("on whole pixels covers exactly those", () => {
    const corners = [
      { x: 3, y: 4 },
      { x: 9, y: 4 },
      { x: 9, y: 8 },
      { x: 3, y: 8 },
    ];
    const { pixels } = painted(SIZE, (span) => rasterPolygon(corners, SIZE, span));
    const expected = slowly(SIZE, (x, y) => x > 3 && x < 9 && y > 4 && y < 8);
    expect([...pixels]).toEqual([...expected]);
  });

  it("of two points covers nothing", () => {
    const line = [
      { x: 1, y: 1 },
      { x: 9, y: 9 },
    ];
    const { pixels } = painted(SIZE, (span) => rasterPolygon(line, SIZE, span));
    expect(pixels.every((value) => value === 0)).toBe(true);
  });
});
