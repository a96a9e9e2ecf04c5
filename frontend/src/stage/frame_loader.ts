/** Which pictures, label maps and marks the playhead needs, and where they are kept. */
import { ApiError } from "../model/api";
import { markedOn } from "../model/document";
import type { LabelMap } from "../model/png";
import type { Project, VideoInfo } from "../model/protocol";
import type { Session } from "../model/session";
import { around, Cache, Fetcher, type Want } from "./frames";

const PICTURES = 192 * 2 ** 20; // bytes
const LABELS = 64 * 2 ** 20;
const SCRUB_WIDTH = 1280; // pixels
const AHEAD = 24; // frames
const STILL = 150; // milliseconds without a move
const LOOK_PAUSE = 100; // milliseconds between two messages about the playhead

export class FrameLoader {
  readonly #session: Session;
  readonly #pictures = new Cache<ImageBitmap>(PICTURES, (picture) => picture.close());
  readonly #labels = new Cache<LabelMap | null>(LABELS);
  readonly #fetcher: Fetcher;
  #frame = 0;
  #direction: 1 | -1 = 1;
  #still = false;
  #stillTimer = 0;
  #lookTimer = 0;
  #key = "";
  #openings = 0;
  #results = "";

  constructor(session: Session, arrived: () => void) {
    this.#session = session;
    this.#fetcher = new Fetcher(arrived, isPermanent);
  }

  stop(): void {
    clearTimeout(this.#stillTimer);
    this.#fetcher.want([]);
  }

  /** The playhead is at a frame, or something about it has changed. */
  look(frame: number, direction: 1 | -1): void {
    const project = this.#session.project.peek();
    if (project === null) return;
    if (project.key !== this.#key) this.#begin(project.key);
    const openings = this.#session.openings.peek();
    if (openings !== this.#openings) this.#fetcher.forgive();
    this.#openings = openings;
    // Files of masks may be moved between a request and the news about it.
    const results = `${this.#session.results.version.peek()} ${project.outdated_from}`;
    if (results !== this.#results) this.#fetcher.forgive("labels ");
    this.#results = results;
    if (frame !== this.#frame || this.#stillTimer === 0) this.#move();
    this.#frame = frame;
    this.#direction = direction;
    this.#want(project);
  }

  #begin(key: string): void {
    this.#key = key;
    this.#pictures.deleteWhere(() => true);
    this.#labels.deleteWhere(() => true);
  }

  #move(): void {
    this.#still = false;
    clearTimeout(this.#stillTimer);
    this.#stillTimer = setTimeout(() => {
      this.#still = true;
      const project = this.#session.project.peek();
      if (project !== null) this.#want(project);
    }, STILL) as unknown as number;
    if (this.#lookTimer !== 0) return;
    this.#lookTimer = setTimeout(() => {
      this.#lookTimer = 0;
      this.#session.api.look(this.#frame, this.#direction).catch(() => undefined);
    }, LOOK_PAUSE) as unknown as number;
  }

  /** The picture of a frame at hand, the sharpest one. */
  picture(frame: number): ImageBitmap | undefined {
    return this.#pictures.get(`${frame} 0`) ?? this.#pictures.get(`${frame} ${SCRUB_WIDTH}`);
  }

  /** Masks found in a frame; null if there are none, undefined if they are not at hand. */
  labels(frame: number): LabelMap | null | undefined {
    const stamp = this.#session.results.stampOf(frame);
    if (stamp === null) return null;
    const whole = labelsKey(frame, stamp, false);
    if (this.#fetcher.failure(whole) !== undefined) return null;
    const found = this.#labels.get(whole);
    if (found !== undefined) return found;
    const marked = this.#session.project.peek();
    if (marked !== null && markedOn(marked, frame).length > 0) return undefined;
    return this.#labels.get(labelsKey(frame, stamp, true));
  }

  /** Whether a frame was marked with masks that are not at hand. */
  needsMarks(frame: number): boolean {
    const project = this.#session.project.peek();
    if ((project?.prompts[frame] ?? []).length === 0) return false;
    if (this.#fetcher.failure(`marks ${frame}`) !== undefined) return false;
    return this.#session.marks.of(frame) === undefined;
  }

  failure(frame: number): Error | undefined {
    return this.#fetcher.failure(`picture ${frame} 0`);
  }

  #want(project: Project): void {
    const { video } = project;
    const large = Math.max(video.width, video.height) > SCRUB_WIDTH;
    const halves = video.width > 1920;
    const near = around(this.#frame, this.#direction, video.count, AHEAD);
    const [width, half] = [large ? SCRUB_WIDTH : 0, halves];
    const here = [...this.#wantsOf(this.#frame, project, width, half)];
    if (this.#still) here.push(...this.#wantsOf(this.#frame, project, 0, false));
    const wants = [...here, ...near.flatMap((frame) => this.#wantsOf(frame, project, width, half))];
    this.#fetcher.want(wants);
  }

  #wantsOf(frame: number, project: Project, width: number, half: boolean): Want[] {
    const wants: Want[] = [];
    const sharp = this.#pictures.has(`${frame} 0`);
    if (!sharp && !this.#pictures.has(`${frame} ${width}`)) {
      wants.push(this.#pictureWant(frame, project.key, width));
    }
    const stamp = this.#session.results.stampOf(frame);
    const whole = !half || markedOn(project, frame).length > 0;
    if (stamp !== null && !this.#labels.has(labelsKey(frame, stamp, !whole))) {
      wants.push(this.#labelsWant(frame, project.key, stamp, !whole));
    }
    if (this.needsMarks(frame)) wants.push(this.#marksWant(frame, project.video));
    return wants;
  }

  #pictureWant(frame: number, key: string, width: number): Want {
    return {
      key: `picture ${frame} ${width}`,
      load: async (signal) => {
        const blob = await this.#session.api.picture(key, frame, width, signal);
        const picture = await createImageBitmap(blob);
        if (signal.aborted) return picture.close();
        this.#pictures.set(`${frame} ${width}`, picture, 4 * picture.width * picture.height);
      },
    };
  }

  #labelsWant(frame: number, key: string, stamp: string | number, half: boolean): Want {
    const name = labelsKey(frame, stamp, half);
    return {
      key: name,
      load: async (signal) => {
        const labels = await this.#session.api.labels({ key, frame, stamp, half }, signal);
        this.#labels.set(name, labels, labels?.data.length ?? 1);
      },
    };
  }

  #marksWant(frame: number, { width, height }: VideoInfo): Want {
    return {
      key: `marks ${frame}`,
      load: async (signal) => {
        await this.#session.edits.settled();
        const marks = await this.#session.api.marks(frame, signal);
        const fits = marks === null || (marks.width === width && marks.height === height);
        this.#session.marks.put(frame, fits ? marks : null);
      },
    };
  }
}

function labelsKey(frame: number, stamp: string | number, half: boolean): string {
  return `labels ${frame} ${stamp} ${half ? "half" : "whole"}`;
}

/** Whether asking again for a frame cannot help. */
function isPermanent(error: Error): boolean {
  return !(error instanceof ApiError) || (!error.unreachable && ![409, 503].includes(error.status));
}
