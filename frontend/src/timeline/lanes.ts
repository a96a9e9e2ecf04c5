/** One lane per object: what was found over time, reduced to the pixels of the screen. */
import type { Track } from "../model/results";

/** What the column of a lane shows. */
export interface Column {
  /** Largest area of its frames; -1 if none was computed. */
  area: number;
  /** Smallest confidence of its frames; NaN if the object is in none of them. */
  confidence: number;
}

/** The frames of a column are `from + i * length / width` and on, at least one. */
export function columnsOf(
  track: Track,
  window: { from: number; length: number },
  width: number,
): Column[] {
  const columns: Column[] = [];
  for (let i = 0; i < width; i++) {
    const first = Math.floor(window.from + (i * window.length) / width);
    const next = Math.floor(window.from + ((i + 1) * window.length) / width);
    columns.push(reduced(track, first, Math.max(first + 1, next)));
  }
  return columns;
}

function reduced(track: Track, from: number, to: number): Column {
  let area = -1;
  let confidence = Number.NaN;
  for (let frame = Math.max(0, from); frame < Math.min(to, track.area.length); frame++) {
    if (track.area[frame] > area) area = track.area[frame];
    const sure = track.confidence[frame];
    if (!(sure >= confidence) && !Number.isNaN(sure)) confidence = sure;
  }
  return { area, confidence };
}

export function largestOf(track: Track): number {
  let largest = 1;
  for (const area of track.area) if (area > largest) largest = area;
  return largest;
}

export const UNSURE = 0.8;
const HATCH = 6; // pixels

export interface LaneStyle {
  colour: string;
  line: string;
  back: string;
  /** Pixel from which on the lane is outdated; infinite if nothing is. */
  outdatedFrom: number;
}

/** Draw a lane: height is the square root of the area, a line shows confidence where it is low. */
export function drawLane(
  context: CanvasRenderingContext2D,
  columns: readonly Column[],
  at: { top: number; height: number; largest: number },
  style: LaneStyle,
): void {
  const { top, height, largest } = at;
  context.fillStyle = style.colour;
  columns.forEach(({ area }, x) => {
    if (area <= 0) return;
    const tall = Math.max(2, Math.round(height * Math.sqrt(area / largest)));
    context.fillRect(x, top + height - tall, 1, tall);
  });
  hatch(context, columns, at, style);
  context.fillStyle = style.line;
  columns.forEach(({ area, confidence }, x) => {
    if (area <= 0 || !(confidence < UNSURE)) return;
    context.fillRect(x, top + Math.round((height - 2) * (1 - confidence)), 1, 2);
  });
}

/** Stripes in the colour of the background over what is outdated. */
function hatch(
  context: CanvasRenderingContext2D,
  columns: readonly Column[],
  { top, height }: { top: number; height: number },
  style: LaneStyle,
): void {
  context.fillStyle = style.back;
  for (let x = Math.max(0, Math.ceil(style.outdatedFrom)); x < columns.length; x++) {
    if (columns[x].area <= 0) continue;
    for (let y = HATCH - (x % HATCH); y < height + HATCH; y += HATCH) {
      context.fillRect(x, top + Math.max(0, y - 3), 1, 3);
    }
  }
}
