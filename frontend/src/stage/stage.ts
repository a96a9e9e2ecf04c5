/**
 * The stage: fetches what the playhead needs, shows it, and carries strokes to the session.
 *
 * Picture and masks of a frame appear together. While the playhead moves, the newest frame at hand
 * is shown; painting waits until the frame shown is the frame meant.
 */
import { batch, computed, effect, type ReadonlySignal, signal } from "@preact/signals";
import { mark } from "../model/changes";
import { compose, markedOn } from "../model/document";
import type { LabelMap } from "../model/png";
import type { Session } from "../model/session";
import { FrameLoader } from "./frame_loader";
import type { Rect, Size } from "./geometry";
import { union } from "./geometry";
import { MaskEditor } from "./mask_editor";
import type { Centre, OverlayStyle } from "./overlay";
import { Painter } from "./painter";
import { overlayStyle, TINTS } from "./palette";
import { fitted, inSight, type View } from "./view";

/** What lies on the stage. */
interface Shown {
  frame: number;
  picture: ImageBitmap | null;
  found: LabelMap | null;
  marks: LabelMap | null;
  marked: string;
  labels: LabelMap | null;
}

const RECENT = 8;

export class Stage {
  readonly session: Session;
  readonly size = signal<Size>({ width: 1, height: 1 });
  /** The frame that is shown, null before the first one. */
  readonly frame = signal<number | null>(null);
  /** Why the frame at the playhead cannot be shown. */
  readonly trouble = signal<Error | null>(null);
  readonly numbers = signal<readonly Centre[]>([]);
  /** Changes whenever pixels of the shown masks change. */
  readonly painted = signal(0);
  readonly view: ReadonlySignal<View>;
  readonly #painter: Painter;
  readonly #loader: FrameLoader;
  readonly #style: ReadonlySignal<OverlayStyle>;
  readonly #stops: (() => void)[];
  #shown: Shown | null = null;
  #editor: MaskEditor | null = null;
  #recent: number[] = [];
  #dirty: Rect | null = null;
  #frameRequest = 0;
  #fullRepaint = false;

  constructor(session: Session, picture: HTMLCanvasElement, masks: HTMLCanvasElement) {
    this.session = session;
    this.#painter = new Painter(picture, masks);
    this.#loader = new FrameLoader(session, () => this.#present());
    this.view = computed(() => {
      const video = session.video.value ?? { width: 1, height: 1 };
      const chosen = session.look.view.value;
      const size = this.size.value;
      return chosen === null ? fitted(video, size) : inSight(chosen, video, size);
    });
    const chosen = computed(() => this.#lookNow());
    this.#style = computed(() => styleOf(chosen.value));
    this.#stops = [
      effect(() => this.#follow()),
      effect(() => this.#place()),
      effect(() => this.#restyle()),
    ];
  }

  /** Repaints so far. */
  get counts(): Readonly<Record<string, number>> {
    return this.#painter.counts;
  }

  stop(): void {
    for (const stop of this.#stops) stop();
    cancelAnimationFrame(this.#frameRequest);
    this.#loader.stop();
  }

  /** All that decides how masks are coloured: most changes of the project leave it as it is. */
  #lookNow(): string {
    const { look, project } = this.session;
    const objects = project.value?.objects ?? [];
    const outdated = project.value?.outdated_from ?? null;
    const frame = this.frame.value;
    return JSON.stringify({
      objects: objects.map(({ slot, colour }) => ({ slot, colour })),
      tint: TINTS[look.tint.value],
      hidden: look.masksHidden.value
        ? objects.map((object) => object.slot)
        : [...look.hidden.value].sort(),
      dashed: outdated !== null && frame !== null && frame >= outdated,
    });
  }

  /** Fetch what the playhead needs, whenever that changes. */
  #follow(): void {
    const { look, project, results, marks } = this.session;
    const frame = look.frame.value;
    results.version.value;
    marks.version.value;
    if (project.value === null) return;
    this.#recent = [frame, ...this.#recent.filter((other) => other !== frame)].slice(0, RECENT);
    this.#loader.look(frame, look.direction.value);
    this.#present();
  }

  #place(): void {
    this.#painter.place(this.size.value, this.view.value);
    this.#repaintAll();
  }

  #restyle(): void {
    this.#style.value;
    this.#fullRepaint = true;
    this.#request();
  }

  /** Show the newest of the frames that were lately asked for and are at hand. */
  #present(): void {
    if (this.#editor?.drawing) return;
    const wanted = this.session.look.frame.peek();
    const failure = this.#loader.failure(wanted);
    this.trouble.value = failure ?? null;
    if (failure !== undefined) return this.#show({ ...EMPTY, frame: wanted });
    for (const frame of this.#recent) {
      if (frame === this.#shown?.frame && frame !== wanted) return;
      const best = this.#best(frame);
      if (best !== null) return this.#show(best);
    }
  }

  /** All of a frame that is at hand; null if something is missing. */
  #best(frame: number): Shown | null {
    const project = this.session.project.peek();
    const picture = this.#loader.picture(frame);
    const found = this.#loader.labels(frame);
    const marks = this.session.marks.of(frame) ?? null;
    if (project === null || picture === undefined || found === undefined) return null;
    if (this.#loader.needsMarks(frame)) return null;
    return { frame, picture, found, marks, marked: markedOn(project, frame).join(), labels: null };
  }

  #show(next: Shown): void {
    const before = this.#shown;
    const samePicture = before?.picture === next.picture && before.frame === next.frame;
    const same = sameMasks(next, before);
    if (samePicture && same) return;
    const labels = same ? (before?.labels ?? null) : this.#composed(next);
    this.#shown = { ...next, labels };
    if (!same) this.#editor = null;
    this.frame.value = next.frame;
    if (!samePicture) this.#painter.showPicture(next.picture, this.#video);
    if (!same) this.#repaintMasks();
  }

  #composed({ found, marks, marked }: Shown): LabelMap | null {
    if (marked === "") return found;
    const { width, height } = this.#video;
    const slots = marked.split(",").map(Number);
    const data = compose(found?.data ?? null, marks?.data ?? null, slots, width * height);
    return { width, height, data };
  }

  get #video(): Size {
    return this.session.project.peek()?.video ?? { width: 1, height: 1 };
  }

  #repaintAll(): void {
    const shown = this.#shown;
    const picture = shown === null ? undefined : this.#loader.picture(shown.frame);
    this.#painter.showPicture(picture ?? shown?.picture ?? null, this.#video);
    this.#repaintMasks();
  }

  #repaintMasks(): void {
    const labels = this.#shown?.labels ?? null;
    this.#fullRepaint = false;
    this.#dirty = null;
    if (labels === null) this.#painter.clearMasks();
    else this.#painter.showMasks(labels, this.#style.peek(), this.#video);
    this.numbers.value = this.#painter.centres();
    this.painted.value = this.painted.peek() + 1;
  }

  #request(): void {
    if (this.#frameRequest === 0) {
      this.#frameRequest = requestAnimationFrame(() => this.#paintFrame());
    }
  }

  #paintFrame(): void {
    this.#frameRequest = 0;
    const labels = this.#shown?.labels ?? null;
    if (this.#fullRepaint) return this.#repaintMasks();
    if (this.#dirty === null || labels === null) return;
    this.#painter.showChange(labels, this.#style.peek(), this.#video, this.#dirty);
    this.#dirty = null;
    if (!this.#editor?.drawing) this.numbers.value = this.#painter.centres();
  }

  /** Show a part of the masks again in the next frame of the screen. */
  change(rect: Rect | null): void {
    this.#dirty = union(this.#dirty, rect);
    this.#request();
  }

  /** Whether all that is known about the frame at the playhead is shown. */
  get current(): boolean {
    const best = this.#best(this.session.look.frame.peek());
    return best !== null && !this.#editor?.drawing && sameMasks(best, this.#shown);
  }

  /** The masks of the shown frame for painting; null while those are not the ones meant. */
  editor(): MaskEditor | null {
    const shown = this.#shown;
    const { look, reachable } = this.session;
    if (shown?.picture == null || shown.frame !== look.frame.peek() || !reachable.peek())
      return null;
    // Marks that are not at hand yet would be painted over, and lost with the stroke.
    if (!this.#editor?.drawing && this.#loader.needsMarks(shown.frame)) return null;
    const { width, height } = this.#video;
    if (shown.labels !== null && shown.labels.width !== width) return null;
    if (this.#editor === null) {
      const data = shown.labels?.data.slice() ?? new Uint8Array(width * height);
      this.#editor = new MaskEditor(width, height, data);
      shown.labels = { width, height, data };
    }
    return this.#editor;
  }

  /** End the stroke and make it the marks of the objects that it touched. */
  commit(did: string): void {
    const [editor, shown] = [this.#editor, this.#shown];
    const project = this.session.project.peek();
    const slot = this.session.look.slot.peek();
    if (editor === null || shown === null || project === null || slot === null) return;
    const marked = markedOn(project, shown.frame);
    const { changed, painted } = editor.finish();
    const slots = changed.filter((other) => other === slot || marked.includes(other));
    // Painting what is there already says that it is right: it becomes a mark.
    if (painted && !slots.includes(slot) && !marked.includes(slot)) slots.push(slot);
    if (slots.length > 0) batch(() => this.#mark(shown, slots, editor.labels, did));
    // What is still to be painted moves the numbers when it is.
    if (this.#dirty === null) this.numbers.value = this.#painter.centres();
    this.painted.value = this.painted.peek() + 1;
    this.#present();
  }

  /** Send marks, and note that they are shown already. */
  #mark(shown: Shown, slots: number[], labels: Uint8Array<ArrayBuffer>, did: string): void {
    const { session } = this;
    mark(session, { frame: shown.frame, slots, did }, labels);
    shown.marks = session.marks.of(shown.frame) ?? null;
    const project = session.project.peek();
    shown.marked = project === null ? "" : markedOn(project, shown.frame).join();
  }

  /** Take the stroke back; false if there is none. */
  drop(): boolean {
    if (!this.#editor?.drawing) return false;
    this.change(this.#editor.drop());
    return true;
  }

  /** The masks that are shown; null if there are none. */
  labels(): LabelMap | null {
    return this.#shown?.labels ?? null;
  }

  /** Number of pixels of each slot in the frame shown; null without masks. */
  areas(): Uint32Array | null {
    const labels = this.#shown?.labels ?? null;
    if (labels === null || labels.width !== this.#video.width) return null;
    const areas = new Uint32Array(256);
    for (const slot of labels.data) areas[slot]++;
    return areas;
  }

  /** The slot shown at a point of the video. */
  slotAt(x: number, y: number): number {
    const labels = this.#shown?.labels ?? null;
    const video = this.#video;
    if (labels === null || x < 0 || y < 0 || x >= video.width || y >= video.height) return 0;
    const [column, row] = [
      Math.floor((x * labels.width) / video.width),
      Math.floor((y * labels.height) / video.height),
    ];
    return labels.data[row * labels.width + column];
  }
}

interface StyleChoice {
  objects: { slot: number; colour: string }[];
  tint: number;
  hidden: number[];
  dashed: boolean;
}

function styleOf(text: string): OverlayStyle {
  const { objects, tint, hidden, dashed } = JSON.parse(text) as StyleChoice;
  return overlayStyle(objects, { tint, hidden: new Set(hidden), dashed });
}

function sameMasks(a: Shown, b: Shown | null): boolean {
  return (
    a.frame === b?.frame && a.found === b.found && a.marks === b.marks && a.marked === b.marked
  );
}

const EMPTY = { picture: null, found: null, marks: null, marked: "", labels: null };
