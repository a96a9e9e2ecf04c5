/**
 * Colours of masks, pixel by pixel, at the resolution of the screen.
 *
 * Works on plain arrays, so the cost depends on the stage and not on the video, and tests need no
 * canvas. Colours are packed as ImageData stores them on little-endian machines: ABGR.
 */
import { clip, grown, type Point, type Rect, type Size } from "./geometry";

export interface OverlayStyle {
  /** Colour inside of each slot. */
  fill: Uint32Array;
  /** Colour of each slot's contour. */
  contour: Uint32Array;
  /** 0 plain, 1 diagonal, 2 crossed hatching of each slot. */
  hatching: Uint8Array;
  /** 0: pixels of this slot are not shown; otherwise the slot itself. */
  shown: Uint8Array;
  /** Dashed contours: these masks are outdated. */
  dashed: boolean;
}

/** Width in screen pixels that a change reaches beyond itself, by contours. */
export const REACH = 2;
const DARK = 0xb4000000; // black, 70 % opaque
const HATCH = 8; // screen pixels from line to line

/** Copy the slots shown at the screen's pixels within `rect`. */
export function sampleLabels(
  labels: { data: Uint8Array; width: number },
  grid: { columns: Int32Array; rows: Int32Array },
  shown: Uint8Array,
  out: Uint8Array,
  rect: Rect,
): void {
  const { columns, rows } = grid;
  const { data, width } = labels;
  for (let y = rect.top; y < rect.bottom; y++) {
    const to = y * columns.length;
    const from = rows[y] * width;
    if (from < 0) {
      out.fill(0, to + rect.left, to + rect.right);
      continue;
    }
    for (let x = rect.left; x < rect.right; x++) {
      const column = columns[x];
      out[to + x] = column < 0 ? 0 : shown[data[from + column]];
    }
  }
}

/** Colour the screen's pixels within `rect`; returns what was coloured, a little more than asked. */
export function colour(
  slots: Uint8Array,
  size: Size,
  style: OverlayStyle,
  out: Uint32Array,
  rect: Rect,
): Rect {
  const reached = clip(grown(rect, REACH), size);
  fillInside(slots, size, style, out, reached);
  const paintEdge = (x: number, y: number) => {
    if (x < reached.left || x >= reached.right || y < reached.top || y >= reached.bottom) return;
    out[y * size.width + x] = edge(slots, x, y, size, style);
  };
  // Only where neighbours differ is there an edge: it reaches two pixels to either side.
  const { left, top, right, bottom } = clip(grown(reached, REACH), size);
  for (let y = top; y < bottom; y++) {
    const below = y + 1 < bottom ? size.width : 0;
    let i = y * size.width + left;
    for (let x = left; x < right; x++, i++) {
      const slot = slots[i];
      if (slots[i + below] !== slot) for (let d = -1; d <= 2; d++) paintEdge(x, y + d);
      if (x + 1 < right && slots[i + 1] !== slot) for (let d = -1; d <= 2; d++) paintEdge(x + d, y);
    }
  }
  return reached;
}

function fillInside(
  slots: Uint8Array,
  size: Size,
  style: OverlayStyle,
  out: Uint32Array,
  { left, top, right, bottom }: Rect,
): void {
  const { fill, hatching } = style;
  for (let y = top; y < bottom; y++) {
    let i = y * size.width + left;
    for (let x = left; x < right; x++, i++) {
      const slot = slots[i];
      out[i] = hatching[slot] === 0 ? fill[slot] : hatched(slot, x, y, style);
    }
  }
}

function hatched(slot: number, x: number, y: number, style: OverlayStyle): number {
  const crossed = style.hatching[slot] === 2;
  const onLine = (x + y) % HATCH < 2 || (crossed && (x - y + offset(y)) % HATCH < 2);
  return onLine ? style.contour[slot] : style.fill[slot];
}

/** A multiple of HATCH that keeps `x - y` from being negative. */
function offset(y: number): number {
  return Math.ceil(y / HATCH) * HATCH;
}

/** A pixel near an edge: the contour of its object, or the dark line around another's. */
function edge(slots: Uint8Array, x: number, y: number, size: Size, style: OverlayStyle): number {
  const slot = slots[y * size.width + x];
  if (style.dashed && ((x + y) >> 2) % 2 === 1) return style.fill[slot];
  if (slot !== 0) return style.contour[slot];
  return touchesMask(slots, x, y, size) ? DARK : 0;
}

function touchesMask(slots: Uint8Array, x: number, y: number, size: Size): boolean {
  const i = y * size.width + x;
  return (
    (x > 0 && slots[i - 1] !== 0) ||
    (x + 1 < size.width && slots[i + 1] !== 0) ||
    (y > 0 && slots[i - size.width] !== 0) ||
    (y + 1 < size.height && slots[i + size.width] !== 0)
  );
}

export interface Centre {
  slot: number;
  x: number;
  y: number;
  /** The mask is so small that its number would cover it. */
  small: boolean;
}

const COARSE = 3;
const SMALL = 30 * 30; // screen pixels

/** A point of each visible mask near its middle, for its number; in screen pixels. */
export function centresOf(slots: Uint8Array, size: Size): Centre[] {
  const sums = new Float64Array(3 * 256);
  for (let y = 0; y < size.height; y += COARSE) {
    for (let x = 0; x < size.width; x += COARSE) {
      const at = 3 * slots[y * size.width + x];
      sums[at] += 1;
      sums[at + 1] += x;
      sums[at + 2] += y;
    }
  }
  const centres: Centre[] = [];
  for (let slot = 1; slot < 256; slot++) {
    const [count, x, y] = sums.subarray(3 * slot, 3 * slot + 3);
    if (count === 0) continue;
    const small = count * COARSE ** 2 < SMALL;
    const middle = { x: Math.round(x / count), y: Math.round(y / count) };
    centres.push({ slot, ...onMask(slots, size, slot, middle), small });
  }
  return centres;
}

/** The nearest pixel of the mask on the row of its middle: a bent object may not cover its middle. */
function onMask(slots: Uint8Array, size: Size, slot: number, { x, y }: Point): Point {
  for (let away = 0; away < size.width; away++) {
    for (const other of [x - away, x + away]) {
      const within = other >= 0 && other < size.width;
      if (within && slots[y * size.width + other] === slot) return { x: other, y };
    }
  }
  return { x, y };
}
