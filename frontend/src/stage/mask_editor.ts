/**
 * The masks of one frame as bytes, and the strokes that change them.
 *
 * A pixel has one owner. Painting takes pixels from other objects, except from locked ones; erasing
 * takes pixels from the chosen object alone. The cost of a stroke depends on its size only.
 */
import { rasterCapsule } from "./capsule";
import { isEmpty, type Point, type Rect, union } from "./geometry";
import { rasterPolygon } from "./polygon";

export interface Brush {
  slot: number;
  erase: boolean;
}

/** What a stroke has done. */
export interface Done {
  /** Slots that gained or lost pixels. */
  changed: number[];
  /** Whether the object was painted or taken away, even where that changed nothing. */
  painted: boolean;
}

export class MaskEditor {
  readonly width: number;
  readonly height: number;
  /** Slot of each pixel, row by row; 0 is background. */
  readonly labels: Uint8Array<ArrayBuffer>;
  readonly #before: Uint8Array<ArrayBuffer>;
  readonly #kept = new Uint8Array(256);
  #brush: Brush | null = null;
  /** What the stroke has touched so far. */
  #touched: Rect | null = null;
  #painted = false;

  constructor(width: number, height: number, labels: Uint8Array<ArrayBuffer>) {
    this.width = width;
    this.height = height;
    this.labels = labels;
    this.#before = new Uint8Array(labels.length);
  }

  get drawing(): boolean {
    return this.#brush !== null;
  }

  /** Begin a stroke; pixels of `locked` slots stay. */
  begin(brush: Brush, locked: Iterable<number>): void {
    this.#kept.fill(brush.erase ? 1 : 0);
    this.#kept[brush.slot] = 0;
    for (const slot of locked) this.#kept[slot] = 1;
    this.#brush = brush;
    this.#touched = null;
    this.#painted = false;
    this.#before.set(this.labels);
  }

  /** Paint along a line; returns what must be shown again. */
  line(from: Point, to: Point, radius: number): Rect {
    return this.#paint((span) => rasterCapsule(from, to, radius, this, span));
  }

  polygon(points: readonly Point[]): Rect {
    return this.#paint((span) => rasterPolygon(points, this, span));
  }

  /** Take pixels from the object everywhere. */
  clear(): Rect {
    this.#painted = true;
    return this.#paint((span) => {
      for (let y = 0; y < this.height; y++) span(y, 0, this.width);
      return { left: 0, top: 0, right: this.width, bottom: this.height };
    });
  }

  #paint(raster: (span: (y: number, from: number, to: number) => void) => Rect): Rect {
    if (this.#brush === null) throw new Error("no stroke has begun");
    const value = this.#brush.erase ? 0 : this.#brush.slot;
    const rect = raster((y, from, to) => {
      const row = y * this.width;
      for (let i = row + from; i < row + to; i++) {
        if (this.#kept[this.labels[i]] === 1) continue;
        this.labels[i] = value;
        this.#painted ||= value > 0;
      }
    });
    this.#touched = union(this.#touched, rect);
    return rect;
  }

  /** End the stroke; returns what it has done. */
  finish(): Done {
    const changed = this.#changed();
    this.#brush = null;
    this.#touched = null;
    return { changed, painted: this.#painted };
  }

  #changed(): number[] {
    const touched = this.#touched;
    if (touched === null || isEmpty(touched)) return [];
    const changed = new Uint8Array(256);
    for (let y = touched.top; y < touched.bottom; y++) {
      for (let i = y * this.width + touched.left; i < y * this.width + touched.right; i++) {
        if (this.labels[i] !== this.#before[i]) {
          changed[this.labels[i]] = 1;
          changed[this.#before[i]] = 1;
        }
      }
    }
    return [...changed.keys()].filter((slot) => slot > 0 && changed[slot] === 1);
  }

  /** Take the stroke back; returns what must be shown again. */
  drop(): Rect | null {
    const touched = this.#touched;
    this.#brush = null;
    this.#touched = null;
    if (touched !== null) this.labels.set(this.#before);
    return touched;
  }

  /** The slot at a point, 0 outside of the frame. */
  at(point: Point): number {
    const [x, y] = [Math.floor(point.x), Math.floor(point.y)];
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return 0;
    return this.labels[y * this.width + x];
  }

  /** Number of pixels of each slot. */
  areas(): Uint32Array {
    const areas = new Uint32Array(256);
    for (const slot of this.labels) areas[slot]++;
    return areas;
  }
}
