/** The timeline: an axis, one lane per object, and the playhead. Clicks seek, drags scrub. */
import { type Signal, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { useWorkspace, type Workspace } from "../model/context";
import type { TimeWindow } from "../model/look";
import type { Project } from "../model/protocol";
import { frameUnder, pannedWindow, pixelOf, ticksOf, zoomedWindow } from "./axis";
import { columnsOf, drawLane, largestOf } from "./lanes";

export const AXIS = 18; // pixels
export const LANE = 18;

export function Timeline() {
  const workspace = useWorkspace();
  const { session, look } = workspace;
  const width = useSignal(1);
  const track = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (track.current === null) return;
    return watch(workspace, track.current, (pixels) => {
      width.value = pixels;
    });
  }, [workspace, width]);
  const project = session.project.value;
  if (project === null) return null;
  const objects = project.objects;
  const window = look.window.value ?? { from: 0, length: project.video.count };
  return (
    <div class="timeline">
      <div class="lane-names" aria-hidden="true" style={{ paddingTop: `${AXIS}px` }}>
        {objects.map((object) => (
          <button
            key={object.slot}
            type="button"
            tabIndex={-1}
            class={look.slot.value === object.slot ? "chosen" : ""}
            title={object.name}
            onClick={() => {
              look.slot.value = object.slot;
            }}
          >
            {object.id}
          </button>
        ))}
      </div>
      <div class="track" ref={track} data-testid="timeline">
        <input
          type="range"
          aria-label="Frame"
          min={0}
          max={project.video.count - 1}
          value={look.frame.value}
          aria-valuetext={`frame ${look.frame.value + project.video.first}`}
          onInput={(event) => session.goTo(Number(event.currentTarget.value))}
        />
        <Lanes width={width.value} window={window} />
        <Marks width={width.value} window={window} />
        <Playhead width={width.value} window={window} />
      </div>
    </div>
  );
}

/** Follow the size of the track and the pointer on it; returns what ends that. */
function watch(
  workspace: Workspace,
  element: HTMLElement,
  resized: (width: number) => void,
): () => void {
  const { session, look } = workspace;
  const observer = new ResizeObserver(() => resized(element.clientWidth));
  observer.observe(element);
  resized(element.clientWidth);
  const controller = new AbortController();
  const { signal } = controller;
  const windowNow = () => look.window.value ?? { from: 0, length: session.last.value + 1 };
  const under = (event: MouseEvent) =>
    frameUnder(
      event.clientX - element.getBoundingClientRect().left,
      windowNow(),
      element.clientWidth,
    );
  const seek = (event: PointerEvent) => {
    if (event.type === "pointerdown") element.setPointerCapture(event.pointerId);
    if ((event.buttons & 1) === 1) session.goTo(under(event));
  };
  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    const turn = Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : event.deltaY;
    const count = session.last.value + 1;
    const now = windowNow();
    look.window.value = event.shiftKey
      ? pannedWindow(now, (turn * now.length) / 800, count)
      : zoomedWindow(now, under(event), 1.0015 ** turn, count);
  };
  element.addEventListener("pointerdown", seek, { signal });
  element.addEventListener("pointermove", seek, { signal });
  element.addEventListener("wheel", wheel, { signal, passive: false });
  return () => {
    controller.abort();
    observer.disconnect();
  };
}

interface Placed {
  width: number;
  window: TimeWindow;
}

/** A signal of where the timeline lies, for effects. */
function usePlace({ width, window }: Placed): Signal<Placed> {
  const place = useSignal<Placed>({ width, window });
  useEffect(() => {
    place.value = { width, window };
  }, [place, width, window.from, window.length]);
  return place;
}

/** Areas and confidences, drawn when they change and not when the playhead moves. */
function Lanes(at: Placed) {
  const { session, look } = useWorkspace();
  const canvas = useRef<HTMLCanvasElement>(null);
  const place = usePlace(at);
  useSignalEffect(() => {
    session.results.version.value;
    const project = session.project.value;
    if (canvas.current === null || project === null) return;
    drawLanes(canvas.current, project, session.results.tracks, place.value);
    look.slot.value;
  });
  const lanes = session.project.value?.objects.length ?? 0;
  return <canvas ref={canvas} style={{ height: `${AXIS + lanes * LANE}px` }} />;
}

function drawLanes(
  canvas: HTMLCanvasElement,
  project: Project,
  tracks: Workspace["session"]["results"]["tracks"],
  { width, window }: Placed,
): void {
  const height = AXIS + project.objects.length * LANE;
  const ratio = devicePixelRatio;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  if (context === null) return;
  context.scale(ratio, ratio);
  const styles = getComputedStyle(canvas);
  const colour = (name: string) => styles.getPropertyValue(name).trim();
  drawAxis(context, project, { width, window }, colour("--muted"));
  const outdated = project.outdated_from;
  project.objects.forEach((object, i) => {
    const top = AXIS + i * LANE;
    context.fillStyle = colour("--lane");
    context.fillRect(0, top + 1, width, LANE - 2);
    const track = tracks.get(object.slot);
    if (track === undefined) return;
    const columns = columnsOf(track, window, width);
    const at = { top: top + 2, height: LANE - 4, largest: largestOf(track) };
    const outdatedFrom = outdated === null ? Infinity : pixelOf(outdated, window, width);
    const style = { colour: object.colour, line: colour("--text"), back: colour("--lane") };
    drawLane(context, columns, at, { ...style, outdatedFrom });
  });
}

function drawAxis(
  context: CanvasRenderingContext2D,
  project: Project,
  { width, window }: Placed,
  colour: string,
): void {
  context.fillStyle = colour;
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "top";
  for (const tick of ticksOf(window, width, 70)) {
    const x = Math.round(pixelOf(tick, window, width));
    context.fillRect(x, AXIS - 5, 1, 5);
    context.fillText(String(tick + project.video.first), x + 3, 2);
  }
}

/** Prompts, absences, ends, swaps, merges and flags on their lanes, in and out point on the axis. */
function Marks({ width, window }: Placed) {
  const { session, look } = useWorkspace();
  const project = session.project.value;
  if (project === null) return null;
  const lane = new Map(project.objects.map((object, i) => [object.slot, i]));
  const at = (frame: number) => pixelOf(frame + 0.5, window, width);
  const sign = (frame: number, slot: number, kind: string, text: string) => {
    const row = lane.get(slot);
    const x = at(frame);
    if (row === undefined || x < 0 || x > width) return null;
    const top = AXIS + row * LANE + LANE / 2;
    return (
      <span
        key={`${kind} ${frame} ${slot}`}
        class={`sign ${kind}`}
        style={{ left: `${x}px`, top: `${top}px` }}
      >
        {text}
      </span>
    );
  };
  const signs = (table: Record<string, number[]>, kind: string, text: string) =>
    Object.entries(table).flatMap(([frame, slots]) =>
      slots.map((slot) => sign(Number(frame), slot, kind, text)),
    );
  const [first, last] = [look.inPoint.value, look.outPoint.value];
  return (
    <div class="signs" aria-hidden="true">
      {first !== null && (
        <span class="point in" style={{ left: `${pixelOf(first, window, width)}px` }} />
      )}
      {last !== null && (
        <span class="point out" style={{ left: `${pixelOf(last + 1, window, width)}px` }} />
      )}
      {signs(project.prompts, "prompt", "◆")}
      {signs(project.absent, "absent", "∅")}
      {project.ends.map(([frame, slot]) => sign(frame, slot, "end", "✕"))}
      {project.renames.flatMap(([frame, , slots]) =>
        slots.map((slot) => sign(frame, slot, "rename", "⇄")),
      )}
      {session.flags.value
        .filter((flag) => !flag.seen)
        .map((flag) => sign(flag.frame, flag.slot, "flag", "▲"))}
    </div>
  );
}

function Playhead(at: Placed) {
  const { look } = useWorkspace();
  const line = useRef<HTMLDivElement>(null);
  const place = usePlace(at);
  useSignalEffect(() => {
    const element = line.current;
    const { value } = place;
    const x = pixelOf(look.frame.value + 0.5, value.window, value.width);
    if (element === null) return;
    element.style.transform = `translateX(${x}px)`;
    element.hidden = x < 0 || x > value.width;
  });
  return <div ref={line} class="playhead" aria-hidden="true" />;
}
