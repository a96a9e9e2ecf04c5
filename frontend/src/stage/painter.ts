/** Shows a picture and its masks on two canvases at the resolution of the screen. */
import type { LabelMap } from "../model/png";
import { clip, grown, isEmpty, type Rect, type Size, whole } from "./geometry";
import { type Centre, centresOf, colour, type OverlayStyle, sampleLabels } from "./overlay";
import { sampled, shownAt, type View } from "./view";

export class Painter {
  /** Repaints so far, for tests that count operations. */
  readonly counts = { full: 0, partial: 0, picture: 0 };
  readonly #picture: CanvasRenderingContext2D;
  readonly #masks: CanvasRenderingContext2D;
  #size: Size = { width: 0, height: 0 };
  #view: View = { scale: 1, left: 0, top: 0 };
  #image = new ImageData(1, 1);
  #colours = new Uint32Array(1);
  #slots = new Uint8Array(1);
  #grid: { columns: Int32Array; rows: Int32Array } = {
    columns: new Int32Array(0),
    rows: new Int32Array(0),
  };
  #gridOf = "";

  constructor(picture: HTMLCanvasElement, masks: HTMLCanvasElement) {
    this.#picture = contextOf(picture);
    this.#masks = contextOf(masks);
  }

  /** Follow the stage's size and the view; everything must then be painted again. */
  place(size: Size, view: View): void {
    this.#view = view;
    this.#gridOf = "";
    if (size.width === this.#size.width && size.height === this.#size.height) return;
    this.#size = size;
    for (const { canvas } of [this.#picture, this.#masks]) Object.assign(canvas, size);
    this.#image = new ImageData(size.width, size.height);
    this.#colours = new Uint32Array(this.#image.data.buffer);
    this.#slots = new Uint8Array(size.width * size.height);
  }

  /** Show a picture of any size as the whole video; null clears. */
  showPicture(picture: ImageBitmap | null, video: Size): void {
    const context = this.#picture;
    this.counts.picture++;
    context.clearRect(0, 0, this.#size.width, this.#size.height);
    if (picture === null || picture.width === 0) return; // 0: it was dropped from the cache
    const { scale, left, top } = this.#view;
    context.imageSmoothingEnabled = scale < 3; // near to the pixels, their edges are what counts
    context.imageSmoothingQuality = "medium";
    context.drawImage(picture, left, top, video.width * scale, video.height * scale);
  }

  clearMasks(): void {
    this.#slots.fill(0);
    this.#masks.clearRect(0, 0, this.#size.width, this.#size.height);
  }

  /** Show all masks. `labels` may have fewer pixels than the video. */
  showMasks(labels: LabelMap, style: OverlayStyle, video: Size): void {
    if (this.#slots.length === 0) return;
    this.counts.full++;
    this.#prepareGrid(labels, video);
    this.#repaint(labels, style, whole(this.#size));
  }

  /** Show masks again where a rectangle of the video has changed. */
  showChange(labels: LabelMap, style: OverlayStyle, video: Size, changed: Rect): void {
    this.counts.partial++;
    this.#prepareGrid(labels, video);
    const rect = clip(grown(shownAt(this.#view, changed), 1), this.#size);
    if (!isEmpty(rect)) this.#repaint(labels, style, rect);
  }

  /** Where numbers of masks belong, in screen pixels; of what was shown last. */
  centres(): Centre[] {
    return centresOf(this.#slots, this.#size);
  }

  #prepareGrid(labels: LabelMap, video: Size): void {
    const made = `${labels.width}×${labels.height}`;
    if (this.#gridOf === made) return;
    this.#gridOf = made;
    const { scale, left, top } = this.#view;
    const [across, down] = [video.width / labels.width, video.height / labels.height];
    this.#grid = {
      columns: sampled(this.#size.width, left, labels.width, scale * across),
      rows: sampled(this.#size.height, top, labels.height, scale * down),
    };
  }

  #repaint(labels: LabelMap, style: OverlayStyle, rect: Rect): void {
    sampleLabels(labels, this.#grid, style.shown, this.#slots, rect);
    const done = colour(this.#slots, this.#size, style, this.#colours, rect);
    const [width, height] = [done.right - done.left, done.bottom - done.top];
    this.#masks.putImageData(this.#image, 0, 0, done.left, done.top, width, height);
  }
}

function contextOf(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("this browser has no 2D canvas");
  return context;
}
