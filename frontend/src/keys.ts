/** The keyboard: one table for what keys do, for the help, and for `aria-keyshortcuts`. */
import { addObject, stepHistory } from "./model/changes";
import type { Workspace } from "./model/context";
import { markedFrames, nextOf } from "./model/document";
import type { ToolName } from "./model/look";
import { track } from "./model/tracking";
import { TINTS } from "./stage/palette";

export interface Command {
  keys: readonly string[];
  says: string;
  group: "Time" | "Marking" | "Tracking" | "View" | "Objects";
  run(workspace: Workspace): void;
}

const LARGE = 10; // frames

function toMark({ session, look }: Workspace, direction: 1 | -1): void {
  const project = session.project.value;
  if (project === null) return;
  const frame = nextOf(markedFrames(project, null), look.frame.value, direction);
  if (frame !== null) session.goTo(frame);
}

function toFlag({ session, look }: Workspace, direction: 1 | -1): void {
  const unseen = session.flags.value.filter((flag) => !flag.seen);
  const frames = [...new Set(unseen.map((flag) => flag.frame))].sort((a, b) => a - b);
  const frame = nextOf(frames, look.frame.value, direction) ?? frames.at(direction === 1 ? 0 : -1);
  if (frame === undefined) return session.toasts.info("No frames left to look at");
  const flag = unseen.find((other) => other.frame === frame);
  session.goTo(frame);
  if (flag !== undefined) look.slot.value = flag.slot;
}

function checkFlags({ session, look }: Workspace): void {
  for (const flag of session.flags.value) {
    if (flag.frame === look.frame.value && !flag.seen) void session.markSeen(flag, true);
  }
}

function chooseTool({ look, pointer }: Workspace, tool: ToolName): void {
  pointer.value?.drop();
  look.tool.value = tool;
}

function toObject({ session, look }: Workspace, by: number): void {
  const slots = (session.project.value?.objects ?? []).map((object) => object.slot);
  const now = slots.indexOf(look.slot.value ?? -1);
  const next = slots[Math.min(slots.length - 1, Math.max(0, now + by))];
  if (next !== undefined) look.slot.value = next;
}

/** The object ends on the frame shown, or no longer does. */
export function toggleEnd({ session, look }: Workspace): void {
  const [frame, slot] = [look.frame.value, look.slot.value];
  const project = session.project.value;
  if (project === null || slot === null) return;
  const ends = project.ends.some(([at, other]) => at === frame && other === slot);
  void session.edit((revision) => session.api.setEnd(revision, frame, slot, !ends));
}

/** Remove the mark of the chosen object on the frame shown. */
export function removeMark({ session, look }: Workspace): void {
  const [frame, slot] = [look.frame.value, look.slot.value];
  const project = session.project.value;
  if (project === null || slot === null) return;
  const marked = [...(project.prompts[frame] ?? []), ...(project.absent[frame] ?? [])];
  if (!marked.includes(slot)) {
    session.toasts.info("This object has no mark on this frame");
    return;
  }
  void session.edit(
    (revision) => session.api.unmark(revision, frame, slot),
    () => session.marks.forget([frame]),
  );
}

function undo(workspace: Workspace): void {
  const pointer = workspace.pointer.value;
  if (pointer?.removeCorner() || pointer?.drop()) return;
  void stepHistory(workspace.session, "undo");
}

function enter(workspace: Workspace): void {
  if (workspace.pointer.value?.closePolygon()) return;
  track(workspace, workspace.look.trackChoice.value);
}

function setPoint({ look }: Workspace, which: "inPoint" | "outPoint"): void {
  const point = look[which];
  point.value = point.value === look.frame.value ? null : look.frame.value;
  const [first, last] = [look.inPoint.value, look.outPoint.value];
  if (first !== null && last !== null && first > last) {
    look[which === "inPoint" ? "outPoint" : "inPoint"].value = null;
  }
}

type Run = Command["run"];

const inGroup =
  (group: Command["group"]) =>
  (keys: readonly string[], says: string, run: Run): Command => ({ keys, says, group, run });

const time = inGroup("Time");
const marking = inGroup("Marking");
const tracking = inGroup("Tracking");
const objects = inGroup("Objects");
const view = inGroup("View");
const tool = (name: ToolName, key: string, says: string) =>
  marking([key], says, (workspace) => chooseTool(workspace, name));

export const COMMANDS = {
  play: time(["Space"], "Play or pause", ({ look }) => {
    look.playing.value = !look.playing.value;
  }),
  next: time(["ArrowRight"], "Next frame", ({ session, look }) =>
    session.goTo(look.frame.value + 1),
  ),
  previous: time(["ArrowLeft"], "Previous frame", ({ session, look }) =>
    session.goTo(look.frame.value - 1),
  ),
  forward: time(["Shift+ArrowRight"], "10 frames on", ({ session, look }) =>
    session.goTo(look.frame.value + LARGE),
  ),
  back: time(["Shift+ArrowLeft"], "10 frames back", ({ session, look }) =>
    session.goTo(look.frame.value - LARGE),
  ),
  nextMark: time(["Ctrl+ArrowRight"], "Next marked frame", (workspace) => toMark(workspace, 1)),
  previousMark: time(["Ctrl+ArrowLeft"], "Previous marked frame", (workspace) =>
    toMark(workspace, -1),
  ),
  first: time(["Home"], "First frame", ({ session }) => session.goTo(0)),
  last: time(["End"], "Last frame", ({ session }) => session.goTo(session.last.value)),
  nextFlag: time(["N"], "Next frame to look at", (workspace) => toFlag(workspace, 1)),
  previousFlag: time(["Shift+N"], "Previous frame to look at", (workspace) =>
    toFlag(workspace, -1),
  ),
  check: time(["C"], "Check off the flags on this frame", checkFlags),
  inPoint: time(["I"], "Set the in point here, or remove it", (workspace) =>
    setPoint(workspace, "inPoint"),
  ),
  outPoint: time(["O"], "Set the out point here, or remove it", (workspace) =>
    setPoint(workspace, "outPoint"),
  ),
  move: tool("move", "V", "Move: drag to pan, click an object to choose it"),
  brush: tool("brush", "B", "Brush (Alt or right button erases, Shift draws a line)"),
  eraser: tool("eraser", "E", "Eraser: takes pixels from the chosen object"),
  polygon: tool("polygon", "P", "Polygon (Enter closes, Backspace removes a point)"),
  box: tool("box", "R", "Box: the method finds the mask in it"),
  thinner: marking(["["], "Brush 2 pixels smaller", ({ look }) =>
    look.setBrush(look.brush.value - 2),
  ),
  thicker: marking(["]"], "Brush 2 pixels larger", ({ look }) =>
    look.setBrush(look.brush.value + 2),
  ),
  muchThinner: marking(["Shift+[", "{"], "Brush 20 pixels smaller", ({ look }) =>
    look.setBrush(look.brush.value - 20),
  ),
  muchThicker: marking(["Shift+]", "}"], "Brush 20 pixels larger", ({ look }) =>
    look.setBrush(look.brush.value + 20),
  ),
  undo: marking(["Ctrl+Z"], "Undo", undo),
  redo: marking(
    ["Ctrl+Shift+Z", "Ctrl+Y"],
    "Redo",
    ({ session }) => void stepHistory(session, "redo"),
  ),
  removeCorner: marking(
    ["Backspace"],
    "Remove the polygon's last point",
    ({ pointer }) => void pointer.value?.removeCorner(),
  ),
  drop: marking(
    ["Escape"],
    "Drop what is being drawn",
    ({ pointer }) => void pointer.value?.drop(),
  ),
  end: marking(["X"], "The object ends here, or not", toggleEnd),
  removeMark: marking(["Delete"], "Remove the object's mark on this frame", removeMark),
  track: tracking(["Enter"], "Track as last time", enter),
  trackBoth: tracking(["Shift+Enter"], "Track both ways", (workspace) => track(workspace, "both")),
  trackBackward: tracking(["Alt+Enter"], "Track backward", (workspace) =>
    track(workspace, "backward"),
  ),
  stop: tracking(["Ctrl+."], "Stop the job", ({ session }) => void session.stopJob()),
  add: objects(["A"], "Add an object", ({ session }) => void addObject(session)),
  objectAbove: objects(["Alt+ArrowUp"], "Choose the object above", (workspace) =>
    toObject(workspace, -1),
  ),
  objectBelow: objects(["Alt+ArrowDown"], "Choose the object below", (workspace) =>
    toObject(workspace, 1),
  ),
  tint: view(["T"], "Tint of masks: 25, 45, 70 %, outline", ({ look }) => {
    look.tint.value = (look.tint.value + 1) % TINTS.length;
  }),
  fit: view(["F"], "Fit the video into the stage", ({ look }) => {
    look.view.value = null;
  }),
  zoomIn: view(["+", "="], "Zoom in", ({ pointer }) => pointer.value?.zoom(1.25)),
  zoomOut: view(["-"], "Zoom out", ({ pointer }) => pointer.value?.zoom(0.8)),
  export: view(["Ctrl+E"], "Export", ({ dialog }) => {
    dialog.value = "export";
  }),
  help: view(["?"], "This help", ({ dialog }) => {
    dialog.value = "help";
  }),
} satisfies Record<string, Command>;

export type CommandName = keyof typeof COMMANDS;

/** The value of `aria-keyshortcuts` for a command. */
export function ariaKeys(name: CommandName): string {
  return COMMANDS[name].keys.join(" ").replaceAll("Ctrl", "Control");
}

const SIGN_OF: Record<string, string> = {
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
};

/** A key of the table for a person: with signs for the arrows. */
export function shownKey(key: string): string {
  return key.replace(/Arrow\w+/, (name) => SIGN_OF[name]);
}

/** A key with its modifiers, as the table writes it; ⌘ counts as Ctrl. */
export function chordOf(
  event: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey">,
) {
  const key = event.key === " " ? "Space" : event.key;
  const isLetter = /^[a-z]$/i.test(key);
  // Shift is already in the sign that a key types: ? and { rather than Shift+/ and Shift+[.
  const shift = event.shiftKey && (isLetter || key.length > 1);
  const parts = [
    event.ctrlKey || event.metaKey ? "Ctrl" : "",
    event.altKey ? "Alt" : "",
    shift ? "Shift" : "",
    isLetter ? key.toUpperCase() : key,
  ];
  return parts.filter((part) => part !== "").join("+");
}

const BY_CHORD = new Map<string, Command>(
  Object.values(COMMANDS).flatMap((command) =>
    command.keys.map((key): [string, Command] => [key, command]),
  ),
);

const NUDGES: Record<string, { x: number; y: number }> = {
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 },
};

/** Keys that the element with the focus uses itself. */
function belongsTo(target: EventTarget | null, chord: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  const isRange = target instanceof HTMLInputElement && target.type === "range";
  if (isRange) return /^(Arrow|Home$|End$|Page)/.test(chord);
  const isCheck = target instanceof HTMLInputElement && target.type === "checkbox";
  if (target.matches("button, summary, a") || isCheck)
    return chord === "Space" || chord === "Enter";
  return target.matches("input, select, textarea");
}

/** Handle the keys of the workbench; returns what ends that. */
export function listenToKeys(workspace: Workspace): () => void {
  const { look, dialog, session } = workspace;
  const controller = new AbortController();
  const { signal } = controller;
  const down = (event: KeyboardEvent) => {
    const chord = chordOf(event);
    if (dialog.value !== null || session.project.value === null) return;
    if (belongsTo(event.target, chord) || event.defaultPrevented) return;
    const single = !chord.startsWith("Ctrl+") && !chord.startsWith("Alt+");
    if (single && !look.keysOn.value && chord !== "Escape") return;
    if (press(workspace, chord, event)) event.preventDefault();
  };
  const up = (event: KeyboardEvent) => {
    if (chordOf(event).endsWith("H")) look.masksHidden.value = false;
  };
  addEventListener("keydown", down, { signal });
  addEventListener("keyup", up, { signal });
  addEventListener("blur", () => (look.masksHidden.value = false), { signal });
  return () => controller.abort();
}

/** Do what a key says; false if it says nothing. */
function press(workspace: Workspace, chord: string, event: KeyboardEvent): boolean {
  const { look, pointer, session } = workspace;
  if (chord === "H") {
    look.masksHidden.value = true;
    return true;
  }
  if (/^[1-9]$/.test(chord)) {
    const object = session.project.value?.objects[Number(chord) - 1];
    if (object !== undefined) look.slot.value = object.slot;
    return true;
  }
  const nudge = NUDGES[event.key];
  if (nudge !== undefined && pointer.value?.draft.value?.kind === "polygon" && !event.ctrlKey) {
    const by = event.shiftKey ? LARGE : 1;
    pointer.value.nudgeCorner({ x: nudge.x * by, y: nudge.y * by });
    return true;
  }
  const command = BY_CHORD.get(chord);
  if (command === undefined) return false;
  command.run(workspace);
  return true;
}
