/** The open project: the server's document and results, kept up to date; edits and jobs are sent. */

import { batch, computed, signal } from "@preact/signals";
import { type Api, ApiError, type OpenRequest } from "./api";
import { EditQueue, type Send } from "./edits";
import { EventStream } from "./events";
import { tellOfJob } from "./job_messages";
import type { Look } from "./look";
import { Marks } from "./marks";
import type { Flag, Hello, Job, JobRequest, Project, ServerEvent } from "./protocol";
import { Results } from "./results";
import { type Numbered, Snapshots } from "./snapshots";
import { Toasts } from "./toasts";

type EditAnswer = Awaited<ReturnType<Api["undo"]>>;

export class Session {
  readonly api: Api;
  readonly look: Look;
  readonly hello = signal<Hello | null>(null);
  readonly project = signal<Project | null>(null);
  readonly job = signal<Job | null>(null);
  readonly flags = signal<readonly Flag[]>([]);
  readonly worker = signal("");
  /** What another program does in the folder; null if none works there. */
  readonly external = signal<string | null>(null);
  /** False while the server does not answer. */
  readonly reachable = signal(true);
  /** How often a project was shown anew; what failed before may succeed now. */
  readonly openings = signal(0);
  /** Boxes whose masks are being made. */
  readonly boxesPending = signal(0);
  readonly results = new Results();
  readonly marks = new Marks();
  readonly toasts = new Toasts();
  readonly edits: EditQueue<EditAnswer>;
  /** Frames per second of the last tracking; null before the first. */
  readonly speed = signal<number | null>(null);
  readonly video = computed(() => this.project.value?.video ?? null);
  readonly last = computed(() => (this.project.value?.video.count ?? 1) - 1);
  readonly #events: EventStream;
  readonly #snapshots = new Snapshots((event) => this.#takeAgain(event));
  #stale = false;

  constructor(api: Api, look: Look) {
    this.api = api;
    this.look = look;
    this.edits = new EditQueue({
      revision: () => this.project.value?.revision ?? 0,
      wait: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    });
    api.onReachable = (reachable) => {
      this.reachable.value = reachable;
    };
    this.#events = new EventStream(api, {
      onEvent: (event) => {
        this.#snapshots.note(event);
        this.#take(event);
      },
      onOpen: (again) => {
        if (again) this.#snapshots.forget();
        if (again || this.hello.value === null) void this.#greet();
      },
    });
  }

  /** Ask what is open and follow the server from then on. */
  async begin(): Promise<void> {
    await this.#greet();
    void this.#events.run(this.hello.value?.seq ?? null);
  }

  async #greet(): Promise<void> {
    await this.#load(
      "project",
      () => this.api.hello(),
      (hello) => {
        this.hello.value = hello;
        if (hello.project === null) this.project.value = null;
        else this.#show(hello.project);
      },
    );
  }

  async open(request: OpenRequest): Promise<void> {
    const ask = () => this.api.open(request);
    await this.#snapshots.load("project", ask, (project) => this.#show(project));
  }

  /** Ask for a state of the server, as `Snapshots` does; an error is shown. */
  async #load<Answer extends Numbered>(
    kind: string,
    ask: () => Promise<Answer | null>,
    take: (answer: Answer) => void,
  ): Promise<void> {
    try {
      await this.#snapshots.load(kind, ask, take);
    } catch (error) {
      this.complain(error);
    }
  }

  /** Open the project again, with the frame before it in place of each that cannot be read. */
  async holdBadFrames(): Promise<void> {
    const { value } = this.project;
    const frame = this.look.frame.value;
    if (value === null) return;
    try {
      await this.edits.settled();
      await this.open({ run: value.run, on_bad_frame: "hold" });
      this.goTo(frame);
    } catch (error) {
      this.complain(error);
    }
  }

  async close(): Promise<void> {
    await this.edits.settled();
    await this.api.close();
    this.project.value = null;
    await this.#greet();
  }

  /** Show a project, another one or the same one anew. */
  #show(project: Project): void {
    const same = this.project.value?.key === project.key;
    batch(() => {
      this.look.begin(project.key, project.video.count);
      if (same) this.results.setStamps(project.video.count, project.stamps);
      else this.results.reset(project.video.count, project.stamps);
      if (!same) {
        this.toasts.clear();
        this.boxesPending.value = 0;
      }
      this.marks.forget(null);
      this.openings.value = this.openings.peek() + 1;
      this.project.value = project;
      // The server forgets jobs that have ended; this page still shows how, and what they made.
      if (!same || project.job !== null || isActive(this.job.value)) this.job.value = project.job;
      this.external.value = project.external?.note ?? null;
      this.look.resumeAfterEdits.value = project.resume_after_edits;
      this.#chooseSlot();
    });
    void this.#loadTracks();
    void this.#loadFlags();
  }

  #chooseSlot(): void {
    const slots = (this.project.value?.objects ?? []).map((object) => object.slot);
    const { slot } = this.look;
    if (slot.value === null || !slots.includes(slot.value)) slot.value = slots[0] ?? null;
  }

  #loadTracks(): Promise<void> {
    const ask = () => this.api.tracks();
    return this.#load("tracks", ask, ({ slots }) => this.results.setTracks(slots));
  }

  async #loadFlags(): Promise<void> {
    try {
      this.flags.value = (await this.api.flags()).flags;
    } catch (error) {
      this.complain(error);
    }
  }

  async #refresh(frames: readonly number[] | null): Promise<void> {
    await this.edits.settled();
    await this.#load(
      "project",
      () => this.#askForProject(),
      (project) => {
        if (!this.edits.idle) return void this.#refresh(frames); // after a stroke of the meantime
        this.#stale = false;
        batch(() => {
          this.marks.forget(frames);
          this.results.setStamps(project.video.count, project.stamps);
          this.project.value = project;
          this.#chooseSlot();
        });
      },
    );
  }

  /** The open project; if there is none any more, the page shows that. */
  async #askForProject(): Promise<Project | null> {
    const project = await this.api.project();
    if (project === null) void this.#greet();
    return project;
  }

  /** Take up an event that came before an older state of the server was taken up. */
  #takeAgain(event: ServerEvent): void {
    if (event.type === "labels") {
      this.results.update(event.from, event.to, event.stamp, event.tracks);
    } else if (event.type === "outdated") this.#setOutdated(event.from);
    else if (event.type === "job") this.job.value = event;
    else if (event.type === "external") this.external.value = event.note ?? null;
    else if (event.type === "document") this.#documentChanged(event.revision, event.frames);
  }

  #take(event: ServerEvent): void {
    switch (event.type) {
      case "document":
        this.#documentChanged(event.revision, event.frames);
        break;
      case "labels":
        this.#labelsMade(event);
        break;
      case "outdated":
        // The answer to the edit that this event follows may still be on its way, with older news.
        void this.edits.settled().then(() => this.#setOutdated(event.from));
        break;
      case "job":
        this.#jobChanged(event);
        break;
      case "worker":
        if (event.name === "model") this.worker.value = event.state;
        break;
      case "flags":
        void this.#loadFlags();
        break;
      case "project":
      case "reload":
        void this.#greet();
        break;
      case "external":
        this.external.value = event.note ?? null;
        break;
      case "notice":
        this.boxesPending.value = 0;
        this.toasts[event.level](event.message);
    }
  }

  /** The document changed: here, then the answer tells more; or in another tab or process. */
  #documentChanged(revision: number, frames: readonly number[] | null): void {
    this.#stale = true;
    void this.edits.settled().then(() => {
      const known = this.project.value?.revision ?? 0;
      if (!this.#stale || revision <= known) return;
      void this.#refresh(frames).then(() => {
        this.boxesPending.value = 0;
      });
    });
  }

  #labelsMade(event: ServerEvent & { type: "labels" }): void {
    this.results.update(event.from, event.to, event.stamp, event.tracks);
    const backward = this.job.value?.pass === "backward";
    const newest = backward ? event.from : event.to;
    if (this.look.follow.value && this.job.value?.state === "running") this.goTo(newest);
  }

  #setOutdated(from: number | null): void {
    const project = this.project.value;
    if (project === null || project.outdated_from === from) return;
    this.project.value = { ...project, outdated_from: from };
  }

  #jobChanged(job: Job): void {
    const before = this.job.value;
    this.job.value = job;
    if (job.what === "track" && job.rate) this.speed.value = job.rate;
    if (before?.id === job.id && before.state === job.state) return;
    tellOfJob(this, job);
    if (["done", "stopped", "failed"].includes(job.state)) void this.#refreshOutdated();
  }

  async #refreshOutdated(): Promise<void> {
    await this.#load(
      "outdated",
      () => this.#askForProject(),
      (project) => {
        this.#setOutdated(project.outdated_from);
        this.results.setStamps(project.video.count, project.stamps);
      },
    );
  }

  goTo(frame: number): void {
    const next = Math.min(this.last.value, Math.max(0, Math.round(frame)));
    const { look } = this;
    if (next === look.frame.value) return;
    batch(() => {
      look.direction.value = next > look.frame.value ? 1 : -1;
      look.frame.value = next;
    });
  }

  /** Send an edit; a refusal is shown, and can be repeated if another edit came first. */
  async edit(send: Send<EditAnswer>, taken: (answer: EditAnswer) => void = () => undefined) {
    try {
      await this.edits.run(send, (answer) => {
        this.#takeUp(answer);
        taken(answer);
      });
    } catch (error) {
      await this.#refresh(null);
      if (error instanceof ApiError && error.kind === "stale") {
        const repeat = { label: "Repeat", run: () => void this.edit(send, taken) };
        this.toasts.error("The project was changed elsewhere, so this edit was not made.", repeat);
      } else this.complain(error);
    }
  }

  #takeUp(answer: EditAnswer): void {
    const project = this.project.value;
    if (project === null) return;
    const { did: _, frame: __, slot: ___, report: ____, ...document } = answer;
    this.#stale = false;
    this.project.value = { ...project, ...document };
    this.#chooseSlot();
  }

  async startJob(request: JobRequest): Promise<void> {
    try {
      await this.edits.settled();
      const job = await this.api.startJob(request);
      // Events about a short job may come before the answer that it has begun.
      if (this.job.value?.id !== job.id) this.job.value = job;
    } catch (error) {
      this.complain(error);
    }
  }

  async stopJob(): Promise<void> {
    const job = this.job.value;
    if (job === null || !isActive(job)) return;
    this.job.value = { ...job, state: "stopping" };
    await this.api.stopJob(job.id).catch((error) => this.complain(error));
  }

  async markSeen(flag: Flag, seen: boolean): Promise<void> {
    this.flags.value = this.flags.value.map((other) =>
      other === flag ? { ...flag, seen } : other,
    );
    await this.edit((revision) => this.api.seen(revision, flag, seen));
  }

  /** Show an error. What does not reach the server is shown by a bar instead. */
  complain(error: unknown): void {
    if (error instanceof ApiError && error.unreachable) return;
    this.toasts.error(error instanceof Error ? error.message : String(error));
  }
}

export function isActive(job: Job | null): boolean {
  return job !== null && ["queued", "running", "stopping"].includes(job.state);
}
