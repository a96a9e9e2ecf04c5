/** The tools at the left, and the line above the stage that says what the chosen one does. */
import { COMMANDS } from "../keys";
import { useWorkspace } from "../model/context";
import { objectOf, titleOf } from "../model/document";
import { LARGEST_BRUSH, SMALLEST_BRUSH, type ToolName } from "../model/look";
import { CommandButton } from "./button";
import { NumberField } from "./number_field";

const TOOLS: readonly ToolName[] = ["move", "brush", "eraser", "polygon", "box"];
const NAMES: Record<ToolName, string> = {
  move: "Move",
  brush: "Brush",
  eraser: "Eraser",
  polygon: "Polygon",
  box: "Box",
};

export function Tools() {
  const { look } = useWorkspace();
  return (
    <section class="tools" aria-label="Tools">
      {TOOLS.map((tool) => (
        <CommandButton
          key={tool}
          command={tool}
          icon={tool}
          name={NAMES[tool]}
          pressed={look.tool.value === tool}
        >
          <kbd>{COMMANDS[tool].keys[0]}</kbd>
        </CommandButton>
      ))}
    </section>
  );
}

export function ToolLine() {
  const { look, session } = useWorkspace();
  const project = session.project.value;
  if (project === null) return null;
  const object = objectOf(project, look.slot.value);
  const name = object === null ? "a new object" : titleOf(object);
  return (
    <div class="tool-line">
      <ToolOptions tool={look.tool.value} name={name} />
      {session.boxesPending.value > 0 && <span role="status">finding the mask in the box…</span>}
    </div>
  );
}

function ToolOptions({ tool, name }: { tool: ToolName; name: string }) {
  switch (tool) {
    case "move":
      return <span>Move · drag to pan, click an object to choose it, wheel to zoom</span>;
    case "brush":
      return (
        <>
          <BrushSize />
          <span>paints {name} · Alt erases</span>
        </>
      );
    case "eraser":
      return (
        <>
          <BrushSize />
          <span>takes pixels from {name} alone</span>
        </>
      );
    case "polygon":
      return <PolygonOptions name={name} />;
    case "box":
      return <BoxFields name={name} />;
  }
}

function BrushSize() {
  const { look } = useWorkspace();
  return (
    <label class="size">
      {NAMES[look.tool.value]}
      <input
        type="range"
        aria-label="Brush size"
        min={0}
        max={100}
        value={100 * (Math.log(look.brush.value) / Math.log(LARGEST_BRUSH))}
        onInput={(event) => {
          look.setBrush(LARGEST_BRUSH ** (Number(event.currentTarget.value) / 100));
        }}
      />
      <NumberField
        label="Brush size in pixels"
        min={SMALLEST_BRUSH}
        max={LARGEST_BRUSH}
        value={look.brush.value}
        onChange={(typed) => {
          look.setBrush(typed);
          return look.brush.value;
        }}
      />
      px
    </label>
  );
}

function PolygonOptions({ name }: { name: string }) {
  const { pointer } = useWorkspace();
  const draft = pointer.value?.draft.value ?? null;
  const points = draft?.kind === "polygon" ? draft.points.length : 0;
  return (
    <>
      <span>
        Polygon of {name} · {points} {points === 1 ? "point" : "points"}
      </span>
      <button type="button" class="small" onClick={() => pointer.value?.addCornerByKey()}>
        Add point
      </button>
      <button
        type="button"
        class="small"
        disabled={points < 3}
        onClick={() => pointer.value?.closePolygon()}
      >
        Close
      </button>
      <button
        type="button"
        class="small"
        disabled={points < 3}
        onClick={() => pointer.value?.closePolygon(true)}
      >
        Subtract
      </button>
      <span class="hint">arrow keys move the last point</span>
    </>
  );
}

const SIDES = ["x", "y", "width", "height"] as const;

function BoxFields({ name }: { name: string }) {
  const { session, pointer } = useWorkspace();
  const video = session.project.value?.video;
  const { value } = pointer;
  if (video === undefined || value === null) return null;
  return (
    <form
      class="box-fields"
      onSubmit={(event) => {
        event.preventDefault();
        value.makeBox(value.box.value);
      }}
    >
      <span>Box around {name}</span>
      {SIDES.map((side) => (
        <span key={side} class="side">
          <span aria-hidden="true">{side}</span>
          <NumberField
            label={side}
            min={side === "width" || side === "height" ? 2 : 0}
            max={side === "x" || side === "width" ? video.width : video.height}
            value={value.box.value[side]}
            onChange={(typed) => {
              value.box.value = { ...value.box.value, [side]: typed };
              return typed;
            }}
          />
        </span>
      ))}
      <button type="submit" class="small">
        Find mask
      </button>
    </form>
  );
}
