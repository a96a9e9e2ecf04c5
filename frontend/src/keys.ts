/** The keyboard: one table for what keys do, for the help, and for `aria-keyshortcuts`. */
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
  void workspace.session.step("undo");
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

const tool = (name: ToolName, key: string, says: string): Command => ({
  keys: [key],
  says,
  group: "Marking",
  run: (workspace) => chooseTool(workspace, name),
});

export const COMMANDS = {
  play: {
    keys: ["Space"],
    says: "Play or pause",
    group: "Time",
    run: ({ look }) => {
      look.playing.value = !look.playing.value;
    },
  },
  next: {
    keys: ["ArrowRight"],
    says: "Next frame",
    group: "Time",
    run: ({ session, look }) => session.goTo(look.frame.value + 1),
  },
  previous: {
    keys: ["ArrowLeft"],
    says: "Previous frame",
    group: "Time",
    run: ({ session, look }) => session.goTo(look.frame.value - 1),
  },
  forward: {
    keys: ["Shift+ArrowRight"],
    says: "10 frames on",
    group: "Time",
    run: ({ session, look }) => session.goTo(look.frame.value + LARGE),
  },
  back: {
    keys: ["Shift+ArrowLeft"],
    says: "10 frames back",
    group: "Time",
    run: ({ session, look }) => session.goTo(look.frame.value - LARGE),
  },
  nextMark: {
    keys: ["Ctrl+ArrowRight"],
    says: "Next marked frame",
    group: "Time",
    run: (workspace) => toMark(workspace, 1),
  },
  previousMark: {
    keys: ["Ctrl+ArrowLeft"],
    says: "Previous marked frame",
    group: "Time",
    run: (workspace) => toMark(workspace, -1),
  },
  first: {
    keys: ["Home"],
    says: "First frame",
    group: "Time",
    run: ({ session }) => session.goTo(0),
  },
  last: {
    keys: ["End"],
    says: "Last frame",
    group: "Time",
    run: ({ session }) => session.goTo(session.last.value),
  },
  nextFlag: {
    keys: ["N"],
    says: "Next frame to look at",
    group: "Time",
    run: (workspace) => toFlag(workspace, 1),
  },
  previousFlag: {
    keys: ["Shift+N"],
    says: "Previous frame to look at",
    group: "Time",
    run: (workspace) => toFlag(workspace, -1),
  },
  check: {
    keys: ["C"],
    says: "Check off the flags on this frame",
    group: "Time",
    run: checkFlags,
  },
  inPoint: {
    keys: ["I"],
    says: "Set the in point here, or remove it",
    group: "Time",
    run: (workspace) => setPoint(workspace, "inPoint"),
  },
  outPoint: {
    keys: ["O"],
    says: "Set the out point here, or remove it",
    group: "Time",
    run: (workspace) => setPoint(workspace, "outPoint"),
  },
  move: tool("move", "V", "Move: drag to pan, click an object to choose it"),
  brush: tool("brush", "B", "Brush (Alt or right button erases, Shift draws a line)"),
  eraser: tool("eraser", "E", "Eraser: takes pixels from the chosen object"),
  polygon: tool("polygon", "P", "Polygon (Enter closes, Backspace removes a point)"),
  box: tool("box", "R", "Box: the method finds the mask in it"),
  thinner: {
    keys: ["["],
    says: "Brush 2 pixels smaller",
    group: "Marking",
    run: ({ look }) => look.setBrush(look.brush.value - 2),
  },
  thicker: {
    keys: ["]"],
    says: "Brush 2 pixels larger",
    group: "Marking",
    run: ({ look }) => look.setBrush(look.brush.value + 2),
  },
  muchThinner: {
    keys: ["Shift+[", "{"],
    says: "Brush 20 pixels smaller",
    group: "Marking",
    run: ({ look }) => look.setBrush(look.brush.value - 20),
  },
  muchThicker: {
    keys: ["Shift+]", "}"],
    says: "Brush 20 pixels larger",
    group: "Marking",
    run: ({ look }) => look.setBrush(look.brush.value + 20),
  },
  undo: { keys: ["Ctrl+Z"], says: "Undo", group: "Marking", run: undo },
  redo: {
    keys: ["Ctrl+Shift+Z", "Ctrl+Y"],
    says: "Redo",
    group: "Marking",
    run: ({ session }) => void session.step("redo"),
  },
  removeCorner: {
    keys: ["Backspace"],
    says: "Remove the polygon's last point",
    group: "Marking",
    run: ({ pointer }) => void pointer.value?.removeCorner(),
  },
  drop: {
    keys: ["Escape"],
    says: "Drop what is being drawn",
    group: "Marking",
    run: ({ pointer }) => void pointer.value?.drop(),
  },
  end: { keys: ["X"], says: "The object ends here, or not", group: "Marking", run: toggleEnd },
  removeMark: {
    keys: ["Delete"],
    says: "Remove the object's mark on this frame",
    group: "Marking",
    run: removeMark,
  },
  track: {
    keys: ["Enter"],
    says: "Track as last time",
    group: "Tracking",
    run: enter,
  },
  trackBoth: {
    keys: ["Shift+Enter"],
    says: "Track both ways",
    group: "Tracking",
    run: (workspace) => track(workspace, "both"),
  },
  trackBackward: {
    keys: ["Alt+Enter"],
    says: "Track backward",
    group: "Tracking",
    run: (workspace) => track(workspace, "backward"),
  },
  stop: {
    keys: ["Ctrl+."],
    says: "Stop the job",
    group: "Tracking",
    run: ({ session }) => void session.stopJob(),
  },
  add: {
    keys: ["A"],
    says: "Add an object",
    group: "Objects",
    run: ({ session }) => void session.addObject(),
  },
  objectAbove: {
    keys: ["Alt+ArrowUp"],
    says: "Choose the object above",
    group: "Objects",
    run: (workspace) => toObject(workspace, -1),
  },
  objectBelow: {
    keys: ["Alt+ArrowDown"],
    says: "Choose the object below",
    group: "Objects",
    run: (workspace) => toObject(workspace, 1),
  },
  tint: {
    keys: ["T"],
    says: "Tint of masks: 25, 45, 70 %, outline",
    group: "View",
    run: ({ look }) => {
      look.tint.value = (look.tint.value + 1) % TINTS.length;
    },
  },
  fit: {
    keys: ["F"],
    says: "Fit the video into the stage",
    group: "View",
    run: ({ look }) => {
      look.view.value = null;
    },
  },
  zoomIn: {
    keys: ["+", "="],
    says: "Zoom in",
    group: "View",
    run: ({ pointer }) => pointer.value?.zoom(1.25),
  },
  zoomOut: {
    keys: ["-"],
    says: "Zoom out",
    group: "View",
    run: ({ pointer }) => pointer.value?.zoom(0.8),
  },
  export: {
    keys: ["Ctrl+E"],
    says: "Export",
    group: "View",
    run: ({ dialog }) => {
      dialog.value = "export";
    },
  },
  help: {
    keys: ["?"],
    says: "This help",
    group: "View",
    run: ({ dialog }) => {
      dialog.value = "help";
    },
  },
} as const satisfies Record<string, Command>;

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
