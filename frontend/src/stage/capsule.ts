/** Rasters of a brush: the pixels whose centre is at most `radius` from a line between two points. */
import { clip, type Point, type Rect, type Size } from "./geometry";

/** Called with the pixels `from..to-1` of row `y`. */
export type Span = (y: number, from: number, to: number) => void;

/** Whether the centre of pixel (x, y) belongs to the capsule. */
export function inCapsule(x: number, y: number, a: Point, b: Point, radius: number): boolean {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const [px, py] = [x + 0.5 - a.x, y + 0.5 - a.y];
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : Math.min(1, Math.max(0, (px * dx + py * dy) / length));
  const [ex, ey] = [px - along * dx, py - along * dy];
  return ex * ex + ey * ey <= radius * radius;
}

/** Give the spans of a capsule, row by row, and return the rectangle that they lie in. */
export function rasterCapsule(a: Point, b: Point, radius: number, size: Size, span: Span): Rect {
  const rect = clip(
    {
      left: Math.floor(Math.min(a.x, b.x) - radius),
      top: Math.floor(Math.min(a.y, b.y) - radius),
      right: Math.ceil(Math.max(a.x, b.x) + radius) + 1,
      bottom: Math.ceil(Math.max(a.y, b.y) + radius) + 1,
    },
    size,
  );
  for (let y = rect.top; y < rect.bottom; y++) rasterRow(y, a, b, radius, rect, span);
  return rect;
}

/** A capsule is convex, so a row of it is one span: search its ends from an estimate. */
function rasterRow(y: number, a: Point, b: Point, radius: number, rect: Rect, span: Span): void {
  const middle = nearestOnRow(y + 0.5, a, b);
  let from = Math.min(rect.right - 1, Math.max(rect.left, Math.floor(middle)));
  // The estimate may lie a pixel off, where the row only touches the capsule.
  const start = [from, from - 1, from + 1].find((x) => inCapsule(x, y, a, b, radius));
  if (start === undefined) return;
  from = edge(start, -1, (x) => inCapsule(x, y, a, b, radius));
  const to = edge(start, 1, (x) => inCapsule(x, y, a, b, radius)) + 1;
  const [left, right] = [Math.max(rect.left, from), Math.min(rect.right, to)];
  if (left < right) span(y, left, right);
}

/** The last x from `start` in a direction that is inside, by doubling steps and then halving. */
function edge(start: number, direction: 1 | -1, inside: (x: number) => boolean): number {
  let step = 1;
  let last = start;
  while (inside(last + direction * step)) {
    last += direction * step;
    step *= 2;
  }
  for (; step >= 1; step = Math.floor(step / 2)) {
    if (inside(last + direction * step)) last += direction * step;
  }
  return last;
}

/** The x at which a row comes nearest to the line from a to b. */
function nearestOnRow(y: number, a: Point, b: Point): number {
  if (a.y === b.y) return Math.abs(a.x - b.x) > 0 ? (a.x + b.x) / 2 : a.x;
  const along = Math.min(1, Math.max(0, (y - a.y) / (b.y - a.y)));
  return a.x + along * (b.x - a.x);
}
