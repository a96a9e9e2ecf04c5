/**
 * Values that cross the wire between the server and this page.
 *
 * A frame is a number from 0 within the clip. A slot is a number 1..254: the value of an object's
 * pixels in label maps on the wire. An id is the object's number in files; it is only shown.
 */

export interface ObjectInfo {
  slot: number;
  id: number;
  name: string;
  /** `#rrggbb` */
  colour: string;
  locked: boolean;
}

export interface Step {
  did: string;
  frame: number | null;
}

/** What a person said about the video; every edit answers with all of it. */
export interface DocumentInfo {
  revision: number;
  objects: ObjectInfo[];
  /** Slots with a mask given on a frame; keys are frames. */
  prompts: Record<string, number[]>;
  /** Slots marked as absent on a frame. */
  absent: Record<string, number[]>;
  /** Slots whose given mask cannot be read any more. */
  lost: Record<string, number[]>;
  /** Pairs (frame, slot): the object ends here. */
  ends: [number, number][];
  /** Frame from which on objects are swapped, or the others are part of the first one; slots. */
  renames: [number, "swap" | "merge", number[]][];
  /** The first frame whose masks do not follow from this document; null if none. */
  outdated_from: number | null;
  undo: Step | null;
  redo: Step | null;
  /** The slot that the next new object will have. */
  next_slot?: number;
}

export interface VideoInfo {
  width: number;
  height: number;
  /** Frames in the clip. */
  count: number;
  /** Number of the clip's first frame in the video. */
  first: number;
  /** Frames per second; null for a folder of pictures. */
  rate: number | null;
  /** Presentation times in seconds, float64 in base64; null for a folder of pictures. */
  times: string | null;
}

export type JobState = "queued" | "running" | "stopping" | "done" | "stopped" | "failed";

export interface ServerError {
  kind: string;
  message: string;
}

export interface MadeFile {
  name: string;
  /** null for an archive, which is made while it is sent. */
  bytes: number | null;
}

export interface Job {
  id: number | string;
  what: "track" | "export";
  state: JobState;
  direction?: Direction | null;
  until?: number | null;
  pass?: string | null;
  done?: number | null;
  total?: number | null;
  /** Frames per second. */
  rate?: number | null;
  /** Seconds left. */
  left?: number | null;
  note?: string | null;
  error?: ServerError | null;
  files?: MadeFile[] | null;
}

/** Masks of frames `from..to` (both included) have this version. */
export type StampSpan = [from: number, to: number, stamp: string | number];

export interface Project extends DocumentInfo {
  /** Number of the last event that this is newer than. */
  seq: number;
  key: string;
  name: string;
  run: string;
  video: VideoInfo;
  stamps: StampSpan[];
  job: Job | null;
  queue: Job[];
  /** The command line that goes on with this folder. */
  command: string;
  /** Whether the run keeps probabilities, which soft edges are made from. */
  probabilities: boolean;
  resume_after_edits: boolean;
  /** Another program works in the folder. */
  external: { note: string } | null;
}

export interface WeightsInfo {
  name: string;
  method: string;
  summary: string;
  licence: string;
  default: boolean;
}

export interface ExportInfo {
  name: string;
  title: string;
  group: string;
  /** Names of the options that it follows. */
  options: string[];
  /** Expected bytes for each pixel of each frame; null if that depends on other things. */
  density: number | null;
  /** Expected bytes if they do not depend on the number of frames. */
  bytes: number | null;
}

export interface ExportOption {
  name: string;
  title: string;
  kind: "choice" | "whole" | "number" | "flag" | "objects";
  /** Values and titles of a choice. */
  choices: [value: string, title: string][];
  least: number | null;
  most: number | null;
  /** What the source must be for it to have an effect. */
  only: "video" | "frames" | null;
  usual: string | number | boolean | null;
}

export interface Hello {
  seq: number;
  version: string;
  protocol: number;
  root: string;
  limits: { upload: number; mask: number; objects: number };
  weights: WeightsInfo[];
  exports: ExportInfo[];
  export_options: ExportOption[];
  project: Project | null;
}

export interface FolderEntry {
  name: string;
  path: string;
  kind: "folder" | "video" | "frames" | "run";
  bytes: number | null;
  /** Seconds since 1970. */
  modified: number | null;
}

export interface Folder {
  path: string;
  parent: string | null;
  entries: FolderEntry[];
}

export interface RecentRun {
  path: string;
  video: string;
  modified: number;
  done: number;
  /** null if nothing in its folder says it. */
  total: number | null;
  status: string;
  /** Whether its video is gone, so that it cannot be opened. */
  lost: boolean;
}

export interface Flag {
  frame: number;
  slot: number;
  kind: string;
  text: string;
  seen: boolean;
}

/** Area (int32) and confidence (float32) of each frame, in base64. */
export interface EncodedTrack {
  area: string;
  confidence: string;
}

export type Direction = "forward" | "backward" | "both";

export type JobRequest =
  | { what: "track"; direction: Direction; until?: number }
  | {
      what: "export";
      exports: string[];
      options: Record<string, string | number | boolean | null>;
      span?: [number, number];
    };

export type ServerEvent = { seq: number } & (
  | { type: "hello" }
  | { type: "document"; revision: number; frames: number[] | null }
  | {
      type: "labels";
      from: number;
      to: number;
      stamp: string | number | null;
      tracks: Record<string, EncodedTrack>;
    }
  | { type: "outdated"; from: number | null }
  | ({ type: "job" } & Job)
  | { type: "worker"; name: string; state: string; note?: string | null }
  | { type: "external"; note?: string | null }
  | { type: "flags" }
  | { type: "project" }
  | { type: "notice"; level: "info" | "error"; message: string }
  | { type: "beat" }
  | { type: "reload" }
);
