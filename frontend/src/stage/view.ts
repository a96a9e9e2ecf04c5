/** How the video lies in the stage. View pixels are pixels of the screen, not of the style sheet. */
import type { Point, Rect, Size } from "./geometry";

/** A point of the video at (x, y) is shown at `x * scale + left`, `y * scale + top`. */
export interface View {
  scale: number;
  left: number;
  top: number;
}

export const LARGEST_SCALE = 40;
const SMALLEST_SCALE = 0.05;
/** Pixels of the video that stay in sight, however far it is moved. */
const STAYS = 32;

export function fitted(video: Size, stage: Size): View {
  const scale = Math.min(stage.width / video.width, stage.height / video.height);
  return {
    scale,
    left: Math.round((stage.width - video.width * scale) / 2),
    top: Math.round((stage.height - video.height * scale) / 2),
  };
}

export function toView(view: View, point: Point): Point {
  return { x: point.x * view.scale + view.left, y: point.y * view.scale + view.top };
}

export function toVideo(view: View, point: Point): Point {
  return { x: (point.x - view.left) / view.scale, y: (point.y - view.top) / view.scale };
}

/** Zoom so that what is at `point` of the stage stays there. */
export function zoomed(view: View, point: Point, factor: number): View {
  const scale = Math.min(LARGEST_SCALE, Math.max(SMALLEST_SCALE, view.scale * factor));
  const fixed = toVideo(view, point);
  return { scale, left: point.x - fixed.x * scale, top: point.y - fixed.y * scale };
}

export function moved(view: View, by: Point): View {
  return { ...view, left: view.left + by.x, top: view.top + by.y };
}

/** The nearest view in which some of the video is in sight. */
export function inSight(view: View, video: Size, stage: Size): View {
  const within = (at: number, length: number, room: number) =>
    Math.min(room - STAYS, Math.max(STAYS - length * view.scale, at));
  return {
    scale: view.scale,
    left: within(view.left, video.width, stage.width),
    top: within(view.top, video.height, stage.height),
  };
}

/**
 * The pixel of the video shown at each pixel along one axis of the stage; -1 outside of the video.
 *
 * @param length pixels of the stage, @param at `left` or `top` of the view,
 * @param pixels pixels of the label map, @param scale screen pixels per pixel of the label map.
 */
export function sampled(length: number, at: number, pixels: number, scale: number): Int32Array {
  const samples = new Int32Array(length);
  for (let i = 0; i < length; i++) {
    const pixel = Math.floor((i + 0.5 - at) / scale);
    samples[i] = pixel >= 0 && pixel < pixels ? pixel : -1;
  }
  return samples;
}

/** The pixels of the stage that show a rectangle of the video. */
export function shownAt(view: View, rect: Rect): Rect {
  return {
    left: Math.floor(rect.left * view.scale + view.left),
    top: Math.floor(rect.top * view.scale + view.top),
    right: Math.ceil(rect.right * view.scale + view.left),
    bottom: Math.ceil(rect.bottom * view.scale + view.top),
  };
}
