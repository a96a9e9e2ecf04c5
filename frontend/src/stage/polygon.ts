/** Rasters of a polygon: the pixels whose centre is inside by the even-odd rule. */
import type { Span } from "./capsule";
import { clip, type Point, type Rect, type Size } from "./geometry";

/** Give the spans of a polygon, row by row, and return the rectangle that they lie in. */
export function rasterPolygon(points: readonly Point[], size: Size, span: Span): Rect {
  const rect = boundsOf(points, size);
  for (let y = rect.top; y < rect.bottom; y++) {
    const crossings = crossingsOf(points, y + 0.5);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const from = Math.max(rect.left, Math.ceil(crossings[i] - 0.5));
      const to = Math.min(rect.right, Math.ceil(crossings[i + 1] - 0.5));
      if (from < to) span(y, from, to);
    }
  }
  return rect;
}

function boundsOf(points: readonly Point[], size: Size): Rect {
  if (points.length < 3) return { left: 0, top: 0, right: 0, bottom: 0 };
  const xs = points.map((point) => point.x);
  const ys = points.map((point) => point.y);
  const rect = {
    left: Math.floor(Math.min(...xs)),
    top: Math.floor(Math.min(...ys)),
    right: Math.ceil(Math.max(...xs)) + 1,
    bottom: Math.ceil(Math.max(...ys)) + 1,
  };
  return clip(rect, size);
}

/** Sorted x at which the outline crosses a row; an end of an edge belongs to one edge only. */
function crossingsOf(points: readonly Point[], y: number): number[] {
  const crossings: number[] = [];
  for (let i = 0; i < points.length; i++) {
    const a = points[i];
    const b = points[(i + 1) % points.length];
    if (a.y > y !== b.y > y) crossings.push(a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x));
  }
  return crossings.sort((p, q) => p - q);
}
