/** The stage on the page: two canvases, the numbers of masks, and what is being drawn. */
import { useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ApiError } from "../model/api";
import { useWorkspace, type Workspace } from "../model/context";
import { objectOf } from "../model/document";
import { BAD_FRAME, HOLD } from "../model/job_messages";
import { readableOn } from "./palette";
import { type Draft, StagePointer } from "./pointer";
import { Stage } from "./stage";
import { toView } from "./view";

export function StageView() {
  const workspace = useWorkspace();
  const box = useRef<HTMLDivElement>(null);
  const picture = useRef<HTMLCanvasElement>(null);
  const masks = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    if (box.current === null || picture.current === null || masks.current === null) return;
    const stage = new Stage(workspace.session, picture.current, masks.current);
    const stop = listen(workspace, stage, box.current);
    return () => {
      stop();
      stage.stop();
    };
  }, [workspace]);
  return (
    <div ref={box} class="stage" data-tool={workspace.look.tool.value} data-testid="stage">
      <canvas ref={picture} />
      <canvas ref={masks} />
      <Numbers />
      <DraftShape />
      <BrushCursor />
      <FrameTrouble />
    </div>
  );
}

/** Connect the stage to its element; returns what takes that back. */
function listen(workspace: Workspace, stage: Stage, element: HTMLElement): () => void {
  const pointer = new StagePointer(stage);
  const controller = new AbortController();
  const { signal } = controller;
  const resized = new ResizeObserver(() => measure(stage, element));
  resized.observe(element);
  measure(stage, element);
  element.addEventListener("pointerdown", (event) => pointer.down(event, element), { signal });
  element.addEventListener("pointermove", (event) => pointer.move(event, element), { signal });
  element.addEventListener("pointerup", (event) => pointer.up(event), { signal });
  element.addEventListener("pointercancel", () => pointer.drop(), { signal });
  element.addEventListener("pointerleave", () => pointer.leave(), { signal });
  element.addEventListener("dblclick", () => pointer.closePolygon(), { signal });
  element.addEventListener("contextmenu", (event) => event.preventDefault(), { signal });
  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    pointer.wheel(event, element);
  };
  element.addEventListener("wheel", wheel, { signal, passive: false });
  workspace.stage.value = stage;
  workspace.pointer.value = pointer;
  return () => {
    controller.abort();
    resized.disconnect();
    workspace.stage.value = null;
    workspace.pointer.value = null;
  };
}

function measure(stage: Stage, element: HTMLElement): void {
  const ratio = devicePixelRatio;
  const width = Math.max(1, Math.round(element.clientWidth * ratio));
  const height = Math.max(1, Math.round(element.clientHeight * ratio));
  const { value } = stage.size;
  if (value.width !== width || value.height !== height) stage.size.value = { width, height };
}

/** The number of each object on its mask, so that colour is not the only sign. */
function Numbers() {
  const { stage, session, look } = useWorkspace();
  const project = session.project.value;
  if (stage.value === null || project === null || look.masksHidden.value) return null;
  return (
    <div class="numbers" aria-hidden="true">
      {stage.value.numbers.value.map(({ slot, x, y, small }) => {
        const object = objectOf(project, slot);
        if (object === null) return null;
        const place = { left: `${x / devicePixelRatio}px`, top: `${y / devicePixelRatio}px` };
        const colours = { background: object.colour, color: readableOn(object.colour) };
        return (
          <span key={slot} class={small ? "above" : ""} style={{ ...place, ...colours }}>
            {object.id}
          </span>
        );
      })}
    </div>
  );
}

function DraftShape() {
  const { stage, pointer } = useWorkspace();
  const draft = pointer.value?.draft.value ?? null;
  if (stage.value === null || draft === null) return null;
  return (
    <svg class="draft" aria-hidden="true">
      {draft.kind === "polygon" ? <Polygon draft={draft} /> : <Box draft={draft} />}
    </svg>
  );
}

function Polygon({ draft }: { draft: Draft & { kind: "polygon" } }) {
  const { stage, pointer } = useWorkspace();
  const view = stage.value?.view.value;
  if (view === undefined) return null;
  const ratio = devicePixelRatio;
  const corners = draft.points.map((point) => toView(view, point));
  const hover = pointer.value?.at.value ?? null;
  const open = hover === null ? corners : [...corners, toView(view, hover)];
  const path = open.map(({ x, y }) => `${x / ratio},${y / ratio}`).join(" ");
  return (
    <>
      <polygon class="under" points={path} />
      <polygon points={path} />
      {corners.map(({ x, y }, i) => (
        <circle
          key={`${x} ${y}`}
          class={i === draft.chosen ? "chosen" : ""}
          cx={x / ratio}
          cy={y / ratio}
          r="4"
        />
      ))}
    </>
  );
}

function Box({ draft }: { draft: Draft & { kind: "box" } }) {
  const view = useWorkspace().stage.value?.view.value;
  if (view === undefined) return null;
  const [a, b] = [toView(view, draft.from), toView(view, draft.to)];
  const ratio = devicePixelRatio;
  const box = {
    x: Math.min(a.x, b.x) / ratio,
    y: Math.min(a.y, b.y) / ratio,
    width: Math.abs(a.x - b.x) / ratio,
    height: Math.abs(a.y - b.y) / ratio,
  };
  return (
    <>
      <rect class="under" {...box} />
      <rect {...box} />
    </>
  );
}

/** The outline of the brush; moved without a render, since it follows every pointer event. */
function BrushCursor() {
  const { stage, pointer, look } = useWorkspace();
  const circle = useRef<HTMLDivElement>(null);
  useSignalEffect(() => {
    const at = pointer.value?.at.value ?? null;
    const view = stage.value?.view.value;
    const element = circle.current;
    if (element === null) return;
    const used = look.tool.value === "brush" || look.tool.value === "eraser";
    element.hidden = at === null || view === undefined || !used;
    if (at === null || view === undefined) return;
    const ratio = devicePixelRatio;
    const diameter = Math.max(3, (look.brush.value * view.scale) / ratio);
    const { x, y } = toView(view, at);
    element.style.width = element.style.height = `${diameter}px`;
    element.style.transform = `translate(${x / ratio - diameter / 2}px, ${y / ratio - diameter / 2}px)`;
  });
  return <div ref={circle} class="brush-cursor" hidden aria-hidden="true" />;
}

function FrameTrouble() {
  const { stage, look, session } = useWorkspace();
  const trouble = stage.value?.trouble.value ?? null;
  const shown = stage.value?.frame.value ?? null;
  if (trouble !== null) {
    return (
      <div
        class="stage-note trouble"
        role="status"
        onPointerDown={(event) => event.stopPropagation()}
      >
        <p>This frame cannot be shown: {trouble.message}</p>
        {trouble instanceof ApiError && trouble.kind === BAD_FRAME && (
          <button type="button" class="small" onClick={() => void session.holdBadFrames()}>
            {HOLD}
          </button>
        )}
      </div>
    );
  }
  const { value } = session.video;
  if (value === null || shown === look.frame.value) return null;
  return <p class="stage-note waiting">Frame {look.frame.value + value.first} is being read…</p>;
}
