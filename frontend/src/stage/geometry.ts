/** Points and rectangles; x to the right, y down. */

export interface Point {
  x: number;
  y: number;
}

export interface Size {
  width: number;
  height: number;
}

/** Whole pixels `left..right-1` and `top..bottom-1`; empty if right <= left or bottom <= top. */
export interface Rect {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

export function isEmpty(rect: Rect): boolean {
  return rect.right <= rect.left || rect.bottom <= rect.top;
}

/** The smallest rectangle around both; an empty one counts for nothing. */
export function union(a: Rect | null, b: Rect | null): Rect | null {
  if (a === null || isEmpty(a)) return b;
  if (b === null || isEmpty(b)) return a;
  return {
    left: Math.min(a.left, b.left),
    top: Math.min(a.top, b.top),
    right: Math.max(a.right, b.right),
    bottom: Math.max(a.bottom, b.bottom),
  };
}

export function clip(rect: Rect, size: Size): Rect {
  return {
    left: Math.max(0, rect.left),
    top: Math.max(0, rect.top),
    right: Math.min(size.width, rect.right),
    bottom: Math.min(size.height, rect.bottom),
  };
}

export function grown(rect: Rect, by: number): Rect {
  return {
    left: rect.left - by,
    top: rect.top - by,
    right: rect.right + by,
    bottom: rect.bottom + by,
  };
}

export function whole(size: Size): Rect {
  return { left: 0, top: 0, right: size.width, bottom: size.height };
}
