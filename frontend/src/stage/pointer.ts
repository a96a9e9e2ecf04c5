/** What the pointer does on the stage: pan and zoom always, otherwise what the chosen tool says. */
import { signal } from "@preact/signals";
import { addObject, makeBox } from "../model/changes";
import { titleOf } from "../model/document";
import type { Session } from "../model/session";
import type { Point } from "./geometry";
import type { Stage } from "./stage";
import { moved, toVideo, zoomed } from "./view";

/** What is being drawn but is not a mask yet, in pixels of the video. */
export type Draft =
  | { kind: "polygon"; points: readonly Point[]; chosen: number; subtract: boolean }
  | { kind: "box"; from: Point; to: Point };

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Screen pixels within which a press and a release are a click. */
const NEAR = 4;
const WHEEL = 1.0015; // zoom per unit of the wheel
const PEN_ERASER = 32; // PointerEvent.buttons

type Gesture =
  | { kind: "pan"; last: Point; start: Point }
  | { kind: "stroke"; last: Point; radius: number; erase: boolean }
  | { kind: "box" };

export class StagePointer {
  readonly draft = signal<Draft | null>(null);
  /** Where the pointer is, in pixels of the video; null outside of the stage. */
  readonly at = signal<Point | null>(null);
  /** The last box, in whole pixels of the video. */
  readonly box = signal<Box>({ x: 0, y: 0, width: 100, height: 100 });
  readonly #stage: Stage;
  readonly #session: Session;
  #gesture: Gesture | null = null;
  /** The pointer that draws; other fingers are ignored meanwhile. */
  #pointer = -1;
  /** End of the last stroke, from which Shift draws a line. */
  #lastEnd: Point | null = null;

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#session = stage.session;
  }

  down(event: PointerEvent, element: HTMLElement): void {
    if (this.#gesture !== null) return;
    this.#pointer = event.pointerId;
    element.setPointerCapture(event.pointerId);
    const point = this.#point(event, element);
    const { tool } = this.#session.look;
    if (event.button === 1 || tool.value === "move") return this.#beginPan(event);
    if (tool.value === "brush" || tool.value === "eraser") return this.#beginStroke(event, point);
    if (event.button !== 0) return;
    if (tool.value === "polygon") return this.#addCorner(point, event.shiftKey);
    this.#gesture = { kind: "box" };
    this.draft.value = { kind: "box", from: point, to: point };
  }

  move(event: PointerEvent, element: HTMLElement): void {
    const gesture = this.#gesture;
    if (gesture !== null && event.pointerId !== this.#pointer) return;
    if (gesture?.kind === "pan") this.#pan(event, gesture);
    else if (gesture?.kind === "stroke") this.#extendStroke(event, element, gesture);
    const point = this.#point(event, element);
    this.at.value = point;
    if (gesture?.kind === "box" && this.draft.value?.kind === "box") {
      this.draft.value = { ...this.draft.value, to: point };
      this.box.value = wholeBox(this.draft.value);
    }
  }

  up(event: PointerEvent): void {
    if (event.pointerId !== this.#pointer) return;
    const gesture = this.#gesture;
    this.#gesture = null;
    if (gesture?.kind === "stroke") {
      this.#lastEnd = gesture.last;
      this.#stage.commit(gesture.erase ? "eraser" : "brush");
    } else if (gesture?.kind === "box") this.#finishBox();
    else if (gesture?.kind === "pan") this.#click(event, gesture);
  }

  leave(): void {
    if (this.#gesture === null) this.at.value = null;
  }

  wheel(event: WheelEvent, element: HTMLElement): void {
    const pixels = event.deltaMode === 0 ? event.deltaY : event.deltaY * 30;
    const view = zoomed(this.#stage.view.value, this.#onScreen(event, element), WHEEL ** -pixels);
    this.#session.look.view.value = view;
  }

  /** Zoom around the middle of the stage. */
  zoom(factor: number): void {
    const { width, height } = this.#stage.size.value;
    const middle = { x: width / 2, y: height / 2 };
    this.#session.look.view.value = zoomed(this.#stage.view.value, middle, factor);
  }

  #beginPan(event: PointerEvent): void {
    const point = { x: event.clientX, y: event.clientY };
    this.#gesture = { kind: "pan", last: point, start: point };
  }

  #pan(event: PointerEvent, gesture: Gesture & { kind: "pan" }): void {
    const point = { x: event.clientX, y: event.clientY };
    const ratio = devicePixelRatio;
    const by = { x: (point.x - gesture.last.x) * ratio, y: (point.y - gesture.last.y) * ratio };
    gesture.last = point;
    this.#session.look.view.value = moved(this.#stage.view.value, by);
  }

  /** A click with the move tool chooses the object under it. */
  #click(event: PointerEvent, { start }: Gesture & { kind: "pan" }): void {
    const away = Math.hypot(event.clientX - start.x, event.clientY - start.y);
    const at = this.at.value;
    if (event.button !== 0 || away > NEAR || at === null) return;
    const slot = this.#stage.slotAt(at.x, at.y);
    if (slot > 0) this.#session.look.slot.value = slot;
  }

  #beginStroke(event: PointerEvent, point: Point): void {
    const { look } = this.#session;
    const byButton = event.button === 2 || (event.buttons & PEN_ERASER) !== 0;
    const erase = look.tool.value === "eraser" || event.altKey || byButton;
    if (!this.#begin(erase)) return;
    const radius = look.brush.value / 2;
    const from = event.shiftKey && this.#lastEnd !== null ? this.#lastEnd : point;
    this.#stage.change(this.#stage.editor()?.line(from, point, radius) ?? null);
    this.#gesture = { kind: "stroke", last: point, radius, erase };
  }

  /** Begin to change the chosen object; false if that is not possible now, and says why. */
  #begin(erase: boolean): boolean {
    const { look, project, toasts } = this.#session;
    const editor = this.#stage.editor();
    if (editor === null) toasts.info("This frame is still being read; draw again in a moment");
    if (editor === null || editor.drawing) return false;
    const slot = look.slot.value ?? addObject(this.#session);
    if (slot === null) return false;
    const objects = project.value?.objects ?? [];
    const chosen = objects.find((object) => object.slot === slot);
    if (chosen?.locked) {
      toasts.info(`${titleOf(chosen)} is locked: unlock it to change it`);
      return false;
    }
    const locked = objects.filter((object) => object.locked).map((object) => object.slot);
    editor.begin({ slot, erase }, locked);
    return true;
  }

  #extendStroke(
    event: PointerEvent,
    element: HTMLElement,
    gesture: Gesture & { kind: "stroke" },
  ): void {
    const editor = this.#stage.editor();
    if (!editor?.drawing) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length > 0 ? events : [event]) {
      const point = this.#point(each, element);
      this.#stage.change(editor.line(gesture.last, point, gesture.radius));
      gesture.last = point;
    }
  }

  #addCorner(point: Point, subtract: boolean): void {
    const { value } = this.draft;
    const points = value?.kind === "polygon" ? value.points : [];
    const last = points.at(-1);
    const near = NEAR / (this.#stage.view.value.scale / devicePixelRatio);
    // The second press of a double click would add the same corner again.
    if (last && Math.hypot(last.x - point.x, last.y - point.y) < near) return;
    const chosen = points.length;
    this.draft.value = { kind: "polygon", points: [...points, point], chosen, subtract };
  }

  /** Move the chosen corner, or begin a polygon in the middle of the stage by the keyboard. */
  nudgeCorner(by: Point): void {
    const { value } = this.draft;
    if (value?.kind !== "polygon") return;
    const points = value.points.map((point, i) =>
      i === value.chosen ? { x: point.x + by.x, y: point.y + by.y } : point,
    );
    this.draft.value = { ...value, points };
  }

  /** Add a corner by the keyboard: at the last one, or in the middle of what is in sight. */
  addCornerByKey(): void {
    const { value } = this.draft;
    const { width, height } = this.#stage.size.value;
    const middle = toVideo(this.#stage.view.value, { x: width / 2, y: height / 2 });
    const points = value?.kind === "polygon" ? value.points : [];
    const point = points.at(-1) ?? middle;
    const chosen = points.length;
    this.draft.value = {
      kind: "polygon",
      points: [...points, { ...point }],
      chosen,
      subtract: false,
    };
  }

  removeCorner(): boolean {
    const { value } = this.draft;
    if (value?.kind !== "polygon") return false;
    const points = value.points.slice(0, -1);
    const chosen = points.length - 1;
    this.draft.value = points.length > 0 ? { ...value, points, chosen } : null;
    return true;
  }

  /** Make the polygon a mask; false if none is being drawn. */
  closePolygon(subtract = false): boolean {
    const { value } = this.draft;
    if (value?.kind !== "polygon") return false;
    const erase = subtract || value.subtract;
    if (value.points.length < 3 || !this.#begin(erase)) return true;
    this.draft.value = null;
    this.#stage.change(this.#stage.editor()?.polygon(value.points) ?? null);
    this.#stage.commit("polygon");
    return true;
  }

  #finishBox(): void {
    const { value } = this.draft;
    this.draft.value = null;
    if (value?.kind !== "box") return;
    const box = wholeBox(value);
    if (box.width >= 2 && box.height >= 2) this.makeBox(box);
  }

  /** Ask for the mask in a box, of which the part in the frame counts. */
  makeBox({ x, y, width, height }: Box): void {
    const video = this.#session.project.value?.video;
    const slot = this.#session.look.slot.value ?? addObject(this.#session);
    if (video === undefined || slot === null) return;
    const [left, top] = [Math.max(0, x), Math.max(0, y)];
    const [right, bottom] = [Math.min(video.width, x + width), Math.min(video.height, y + height)];
    if (right <= left || bottom <= top) {
      this.#session.toasts.error("The box lies outside of the frame.");
      return;
    }
    this.box.value = { x: left, y: top, width: right - left, height: bottom - top };
    const frame = this.#session.look.frame.value;
    void makeBox(this.#session, frame, slot, [left, top, right - left, bottom - top]);
  }

  /** Take the chosen object away from this frame: it is absent here. */
  clearObject(): void {
    if (!this.#begin(true)) return;
    this.#stage.change(this.#stage.editor()?.clear() ?? null);
    this.#stage.commit("absent");
  }

  /** Drop what is being drawn; false if nothing is. */
  drop(): boolean {
    const drawing = this.draft.value !== null;
    this.draft.value = null;
    this.#gesture = null;
    return this.#stage.drop() || drawing;
  }

  #onScreen(event: MouseEvent, element: HTMLElement): Point {
    const { left, top } = element.getBoundingClientRect();
    const ratio = devicePixelRatio;
    return { x: (event.clientX - left) * ratio, y: (event.clientY - top) * ratio };
  }

  #point(event: MouseEvent, element: HTMLElement): Point {
    return toVideo(this.#stage.view.value, this.#onScreen(event, element));
  }
}

/** A box that is being drawn, in whole pixels. */
function wholeBox({ from, to }: Draft & { kind: "box" }): Box {
  const [left, right] = [from.x, to.x].sort((a, b) => a - b).map(Math.round);
  const [top, bottom] = [from.y, to.y].sort((a, b) => a - b).map(Math.round);
  return { x: left, y: top, width: right - left, height: bottom - top };
}
