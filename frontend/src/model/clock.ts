/** Times of frames: shown to a person, and played. */
import { float64Of } from "./base64";
import type { VideoInfo } from "./protocol";

const PICTURES_RATE = 24; // frames per second of a folder of pictures

/** Presentation time of every frame in seconds, from 0. */
export function timesOf(video: VideoInfo): Float64Array {
  if (video.times === null) {
    return Float64Array.from({ length: video.count }, (_, frame) => frame / PICTURES_RATE);
  }
  const times = float64Of(video.times);
  return times.map((time) => time - times[0]);
}

/** The last frame that begins at or before a time. */
export function frameAt(times: Float64Array, time: number): number {
  let [low, high] = [0, times.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (times[middle] <= time) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Minutes, seconds and hundredths: 1:04.92. */
export function clockText(seconds: number): string {
  const hundredths = Math.round(seconds * 100);
  const minutes = Math.floor(hundredths / 6000);
  const rest = ((hundredths % 6000) / 100).toFixed(2).padStart(5, "0");
  return `${minutes}:${rest}`;
}

/** Whole seconds as 0:44 or 1:02:03. */
export function durationText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const tail = String(whole % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

export function bytesText(bytes: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}
