/** Requests to the server: one method per address, errors as values of one class. */
import { deflate } from "./deflate";
import { decodeLabels, type LabelMap } from "./png";
import type {
  DocumentInfo,
  EncodedTrack,
  Flag,
  Folder,
  Hello,
  Job,
  JobRequest,
  Project,
  RecentRun,
  ServerError,
} from "./protocol";

/** An answer of the server that is not a success; `status` 0 means that no answer came. */
export class ApiError extends Error {
  readonly kind: string;
  readonly status: number;
  readonly body: Record<string, unknown>;

  constructor(status: number, error: ServerError, body: Record<string, unknown> = {}) {
    super(error.message);
    this.status = status;
    this.kind = error.kind;
    this.body = body;
  }

  /** The server did not answer at all. */
  get unreachable(): boolean {
    return this.status === 0;
  }
}

export interface OpenRequest {
  video?: string;
  run?: string;
  weights?: string;
  /** A frame or a time, as typed. */
  start?: string;
  end?: string;
  /** What to do about frames that cannot be read. */
  on_bad_frame?: "stop" | "hold";
}

type EditAnswer = DocumentInfo & Step;
interface Step {
  did?: string;
  frame?: number | null;
  slot?: number;
  report?: string[];
}

interface Sent {
  method?: string;
  json?: unknown;
  body?: BodyInit;
  headers?: Record<string, string>;
  signal?: AbortSignal | null;
}

export class Api {
  /** Requests sent so far, by kind, for tests that count operations. */
  readonly sent: Record<string, number> = {};
  /** Called when an answer comes, or fails to come. */
  onReachable: (reachable: boolean) => void = () => undefined;
  readonly #token: string;

  constructor(token: string) {
    this.#token = token;
  }

  /** Send one request; answers with an error become an ApiError. Aborting passes through. */
  async send(address: string, options: Sent = {}): Promise<Response> {
    const kind = `${options.method ?? "GET"} ${address.split("/")[2]?.split("?")[0]}`;
    this.sent[kind] = (this.sent[kind] ?? 0) + 1;
    const response = await this.#fetch(address, options);
    this.onReachable(true);
    if (response.ok) return response;
    throw await errorOf(response);
  }

  async #fetch(address: string, { method, json, body, headers, signal }: Sent): Promise<Response> {
    const request: RequestInit = {
      method: method ?? "GET",
      headers: {
        Authorization: `Bearer ${this.#token}`,
        ...(json === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      signal: signal ?? null,
      body: json === undefined ? (body ?? null) : JSON.stringify(json),
    };
    try {
      return await fetch(address, request);
    } catch (error) {
      if (signal?.aborted) throw error;
      this.onReachable(false);
      throw new ApiError(0, { kind: "unreachable", message: "the server does not answer" });
    }
  }

  async #json<T>(address: string, options: Sent = {}): Promise<T> {
    return (await (await this.send(address, options)).json()) as T;
  }

  hello(): Promise<Hello> {
    return this.#json("/api/hello");
  }

  folder(path: string): Promise<Folder> {
    return this.#json(`/api/folder?path=${encodeURIComponent(path)}`);
  }

  recent(): Promise<{ runs: RecentRun[] }> {
    return this.#json("/api/recent");
  }

  async thumbnail(path: string): Promise<Blob> {
    const address = `/api/recent/thumbnail.jpg?path=${encodeURIComponent(path)}`;
    return (await this.send(address)).blob();
  }

  open(request: OpenRequest): Promise<Project> {
    return this.#json("/api/project", { method: "POST", json: request });
  }

  async close(): Promise<void> {
    await this.send("/api/project", { method: "DELETE" });
  }

  /** null if none is open. */
  project(): Promise<Project | null> {
    return this.#json("/api/project");
  }

  async picture(key: string, frame: number, width: number, signal: AbortSignal): Promise<Blob> {
    const query = width > 0 ? `?w=${width}` : "";
    return (await this.send(`/api/frames/${key}/${frame}.jpg${query}`, { signal })).blob();
  }

  /** What the model found; null if there are no masks. `half`: every second pixel. */
  labels(
    at: { key: string; frame: number; stamp: string | number; half: boolean },
    signal: AbortSignal,
  ): Promise<LabelMap | null> {
    const half = at.half ? "&half=1" : "";
    const stamp = encodeURIComponent(at.stamp);
    return this.#labelMap(`/api/labels/${at.key}/${at.frame}.png?s=${stamp}${half}`, signal);
  }

  /** What was marked on a frame; null if nothing. */
  marks(frame: number, signal: AbortSignal): Promise<LabelMap | null> {
    return this.#labelMap(`/api/prompts/${frame}.png`, signal);
  }

  async #labelMap(address: string, signal: AbortSignal): Promise<LabelMap | null> {
    const response = await this.send(address, { signal });
    if (response.status === 204) return null;
    return decodeLabels(new Uint8Array(await response.arrayBuffer()));
  }

  /** Make the given pixels the marks of these slots on a frame. */
  async mark(
    revision: number,
    at: { frame: number; slots: readonly number[]; did: string },
    pixels: Uint8Array<ArrayBuffer>,
  ): Promise<EditAnswer> {
    const body = (await deflate(pixels)) as Uint8Array<ArrayBuffer>;
    const address = `/api/prompts/${at.frame}?slots=${at.slots.join(",")}&did=${at.did}`;
    return this.#json(address, { method: "PUT", body, headers: matching(revision) });
  }

  unmark(revision: number, frame: number, slot: number): Promise<EditAnswer> {
    return this.#edit("DELETE", `/api/prompts/${frame}?slots=${slot}`, revision);
  }

  addObject(revision: number): Promise<EditAnswer> {
    return this.#edit("POST", "/api/objects", revision, {});
  }

  changeObject(
    revision: number,
    slot: number,
    change: { name?: string; colour?: string; locked?: boolean },
  ): Promise<EditAnswer> {
    return this.#edit("PATCH", `/api/objects/${slot}`, revision, change);
  }

  deleteObject(revision: number, slot: number): Promise<EditAnswer> {
    return this.#edit("DELETE", `/api/objects/${slot}`, revision);
  }

  setEnd(revision: number, frame: number, slot: number, ends: boolean): Promise<EditAnswer> {
    return this.#edit(ends ? "POST" : "DELETE", "/api/ends", revision, { frame, slot });
  }

  undo(revision: number): Promise<EditAnswer> {
    return this.#edit("POST", "/api/undo", revision, {});
  }

  redo(revision: number): Promise<EditAnswer> {
    return this.#edit("POST", "/api/redo", revision, {});
  }

  importMask(revision: number, frame: number, file: File): Promise<EditAnswer> {
    const headers = { ...matching(revision), "X-Name": encodeURIComponent(file.name) };
    return this.#json(`/api/import?frame=${frame}`, { method: "POST", body: file, headers });
  }

  /** Import the files of a folder that a person has chosen. */
  importFolder(revision: number, files: readonly File[]): Promise<EditAnswer> {
    const [folder] = files[0].webkitRelativePath.split("/");
    const inside = (file: File) => file.webkitRelativePath.slice(folder.length + 1);
    const listed = files.map((file) => [inside(file), file.size]);
    const body = new Blob([JSON.stringify({ files: listed }), "\n", ...files]);
    const headers = { ...matching(revision), "X-Name": encodeURIComponent(folder) };
    return this.#json("/api/import?folder=1", { method: "POST", body, headers });
  }

  #edit(method: string, address: string, revision: number, json?: unknown): Promise<EditAnswer> {
    return this.#json(address, { method, json, headers: matching(revision) });
  }

  async box(frame: number, slot: number, box: readonly number[]): Promise<void> {
    await this.send("/api/boxes", { method: "POST", json: { frame, slot, box } });
  }

  startJob(request: JobRequest): Promise<Job> {
    return this.#json("/api/jobs", { method: "POST", json: request });
  }

  async stopJob(id: number | string): Promise<void> {
    await this.send(`/api/jobs/${id}`, { method: "DELETE" });
  }

  async resumeAfterEdits(resume: boolean): Promise<void> {
    await this.send("/api/jobs", { method: "PATCH", json: { resume_after_edits: resume } });
  }

  tracks(): Promise<{ seq: number; slots: Record<string, EncodedTrack> }> {
    return this.#json("/api/tracks");
  }

  flags(): Promise<{ flags: Flag[] }> {
    return this.#json("/api/flags");
  }

  seen(revision: number, flag: Flag, seen: boolean): Promise<EditAnswer> {
    const { frame, slot, kind } = flag;
    return this.#edit("POST", "/api/flags/seen", revision, { frame, slot, kind, seen });
  }

  async downloadAddress(file: string): Promise<string> {
    const answer = await this.#json<{ path: string }>("/api/downloads", {
      method: "POST",
      json: { file },
    });
    return answer.path;
  }

  async look(frame: number, step: number): Promise<void> {
    await this.send("/api/look", { method: "POST", json: { frame, step } });
  }

  /** Upload a file with progress (bytes sent); XMLHttpRequest, since fetch reports none. */
  upload(file: File, progress: (sent: number) => void, signal: AbortSignal): Promise<string> {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("PUT", `/api/uploads/${encodeURIComponent(file.name)}`);
      request.setRequestHeader("Authorization", `Bearer ${this.#token}`);
      request.responseType = "json";
      request.upload.onprogress = (event) => progress(event.loaded);
      request.onerror = () =>
        reject(new ApiError(0, { kind: "unreachable", message: "the upload was interrupted" }));
      request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
      request.onload = () =>
        request.status < 300
          ? resolve((request.response as { path: string }).path)
          : reject(errorFrom(request.status, request.response));
      signal.addEventListener("abort", () => request.abort());
      request.send(file);
    });
  }
}

function matching(revision: number): Record<string, string> {
  return { "If-Match": String(revision) };
}

async function errorOf(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => null);
  return errorFrom(response.status, body);
}

function errorFrom(status: number, body: unknown): ApiError {
  const fields = typeof body === "object" && body !== null ? body : {};
  const { error } = fields as { error?: ServerError };
  const message = `the server answered with status ${status}`;
  return new ApiError(status, error ?? { kind: "unknown", message }, { ...fields });
}
