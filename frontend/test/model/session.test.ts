/** Jobs and messages of a session whose server answers late. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Api } from "../../src/model/api";
import { Look } from "../../src/model/look";
import type { Job, Project } from "../../src/model/protocol";
import { Session } from "../../src/model/session";
import { Toasts } from "../../src/model/toasts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const QUEUED: Job = { id: 1, what: "track", state: "queued" };

function sessionWith(startJob: () => Promise<Job>): Session {
  return new Session({ startJob } as unknown as Api, new Look());
}

test("the answer that a job has begun is taken", async () => {
  const session = sessionWith(async () => QUEUED);
  await session.startJob({ what: "track", direction: "forward" });
  expect(session.job.value).toEqual(QUEUED);
});

test("events about a short job are not undone by the answer that it has begun", async () => {
  const done: Job = { ...QUEUED, state: "done" };
  const session: Session = sessionWith(async () => {
    session.job.value = done;
    return QUEUED;
  });
  await session.startJob({ what: "track", direction: "forward" });
  expect(session.job.value).toEqual(done);
});

test("messages go by themselves, but not those that offer an action", () => {
  const toasts = new Toasts();
  toasts.info("saved");
  toasts.error("not saved", { label: "Repeat", run: () => undefined });
  vi.advanceTimersByTime(60_000);
  expect(toasts.shown.value.map(({ text }) => text)).toEqual(["not saved"]);
});

/** A project of one frame; `job` is what the server does. */
const project = (key: string, job: Job | null) =>
  ({
    seq: 1,
    key,
    job,
    video: { count: 1 },
    stamps: [],
    objects: [],
    prompts: {},
  }) as unknown as Project;

test("how a job has ended is kept when the project is shown anew, but not for another one", async () => {
  const answers = [
    project("a", QUEUED),
    project("a", null),
    project("a", null),
    project("b", null),
  ];
  const api = {
    open: async () => answers.shift(),
    tracks: () => new Promise(() => undefined),
    flags: () => new Promise(() => undefined),
  };
  vi.stubGlobal("sessionStorage", { getItem: () => null, setItem: () => undefined });
  const session = new Session(api as unknown as Api, new Look());
  await session.open({});
  expect(session.job.value).toEqual(QUEUED);
  await session.open({});
  expect(session.job.value).toBeNull(); // it cannot go on
  const done: Job = { ...QUEUED, state: "done" };
  session.job.value = done;
  await session.open({});
  expect(session.job.value).toEqual(done);
  await session.open({});
  expect(session.job.value).toBeNull();
});
