/** What a person chose to export, and the request that follows from it. */
import type { ExportInfo, ExportOption, ObjectInfo, Project } from "./protocol";

export type OptionValue = string | number | boolean | null;

export interface ExportChoice {
  /** Names of exports. */
  names: ReadonlySet<string>;
  /** Values that differ from the usual ones, by name of the option. */
  values: Readonly<Record<string, OptionValue>>;
  /** Ids of objects that are left out. */
  without: ReadonlySet<number>;
  /** Whether each object has a file of its own. */
  each: boolean;
}

export const NOTHING: ExportChoice = {
  names: new Set(),
  values: {},
  without: new Set(),
  each: false,
};

/** The set with or without a value. */
export function toggled<Value>(set: ReadonlySet<Value>, value: Value, on: boolean): Set<Value> {
  const next = new Set(set);
  if (on) next.add(value);
  else next.delete(value);
  return next;
}

/** The options that the chosen exports follow and that have an effect on this project. */
export function optionsFor(
  exports: readonly ExportInfo[],
  options: readonly ExportOption[],
  chosen: ReadonlySet<string>,
  project: Project,
): ExportOption[] {
  const followed = new Set(
    exports.filter(({ name }) => chosen.has(name)).flatMap((each) => each.options),
  );
  const source = project.video.times === null ? "frames" : "video";
  return options
    .filter(({ name, only }) => followed.has(name) && (only === null || only === source))
    .map((option) => (option.name === "edges" ? withPossibleEdges(option, project) : option));
}

/** Soft edges need probabilities, which only some runs have kept. */
function withPossibleEdges(option: ExportOption, project: Project): ExportOption {
  if (project.probabilities) return option;
  return { ...option, choices: option.choices.filter(([value]) => value !== "soft") };
}

/** The exports in their groups, in order. */
export function grouped(exports: readonly ExportInfo[]): [group: string, of: ExportInfo[]][] {
  const groups = new Map<string, ExportInfo[]>();
  for (const each of exports) groups.set(each.group, [...(groups.get(each.group) ?? []), each]);
  return [...groups];
}

/** About how many bytes an export of so many frames has; null if that is not known. */
export function expectedBytes(
  { density, bytes }: ExportInfo,
  { width, height }: { width: number; height: number },
  frames: number,
): number | null {
  return density === null ? bytes : density * width * height * frames;
}

/** Whether a request would name an export and an object. */
export function isPossible(choice: ExportChoice, objects: readonly ObjectInfo[]): boolean {
  return choice.names.size > 0 && objects.some(({ id }) => !choice.without.has(id));
}

/** The options of the request: those shown, unless they are as usual. */
export function requestOptions(
  choice: ExportChoice,
  shown: readonly ExportOption[],
  objects: readonly ObjectInfo[],
): Record<string, OptionValue> {
  const values: Record<string, OptionValue> = {};
  for (const { name, kind, usual } of shown) {
    const value = choice.values[name];
    if (kind === "objects") Object.assign(values, objectsOf(choice, objects));
    else if (value !== undefined && value !== usual) values[name] = value;
  }
  return values;
}

function objectsOf(
  { without, each }: ExportChoice,
  objects: readonly ObjectInfo[],
): Record<string, OptionValue> {
  const ids = objects.map(({ id }) => id).filter((id) => !without.has(id));
  if (ids.length === objects.length) return each ? { objects: "all" } : {};
  return { objects: ids.join(","), ...(each ? {} : { merged: true }) };
}

/** A typed number within the limits of an option; undefined if it is none. */
export function typedNumber(option: ExportOption, text: string): number | null | undefined {
  if (text.trim() === "") return option.usual === null ? null : undefined;
  const value = Number(text);
  if (!Number.isFinite(value) || (option.kind === "whole" && !Number.isInteger(value))) return;
  if (value < (option.least ?? -Infinity) || value > (option.most ?? Infinity)) return;
  return value;
}
