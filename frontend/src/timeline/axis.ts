/** Frames along the timeline: where they lie, which get a tick, and zooming. */
import type { TimeWindow } from "../model/look";

const STEPS = [1, 2, 5];
const LEAST = 10; // frames in sight

/** Pixel of the beginning of a frame. */
export function pixelOf(frame: number, window: TimeWindow, width: number): number {
  return ((frame - window.from) * width) / window.length;
}

/** Frame under a pixel. */
export function frameUnder(pixel: number, window: TimeWindow, width: number): number {
  return Math.floor(window.from + (pixel * window.length) / width);
}

/** Frames with a tick, at least `apart` pixels from one another, at 1, 2 or 5 times a power of ten. */
export function ticksOf(window: TimeWindow, width: number, apart: number): number[] {
  const least = (window.length * apart) / Math.max(1, width);
  const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  const step = STEPS.map((times) => times * power).find((each) => each >= least) ?? 10 * power;
  const ticks: number[] = [];
  for (let tick = Math.ceil(window.from / step) * step; tick < window.from + window.length; ) {
    ticks.push(tick);
    tick += step;
  }
  return ticks;
}

/** Zoom around a frame; null if all frames are then in sight. */
export function zoomedWindow(
  window: TimeWindow,
  around: number,
  factor: number,
  count: number,
): TimeWindow | null {
  const length = Math.min(count, Math.max(Math.min(LEAST, count), window.length * factor));
  if (length >= count) return null;
  const share = (around - window.from) / window.length;
  return within({ from: around - share * length, length }, count);
}

export function pannedWindow(window: TimeWindow, frames: number, count: number): TimeWindow {
  return within({ ...window, from: window.from + frames }, count);
}

function within(window: TimeWindow, count: number): TimeWindow {
  return { ...window, from: Math.min(count - window.length, Math.max(0, window.from)) };
}
