import { describe, expect, it } from "vitest";
import { ApiError } from "../../src/model/api";
import { EditQueue } from "../../src/model/edits";

function queue() {
  let revision = 1;
  const waits: number[] = [];
  const made = new EditQueue<number>({
    revision: () => revision,
    wait: async (milliseconds) => {
      waits.push(milliseconds);
    },
  });
  const take = (answer: number) => {
    revision = answer;
  };
  return { made, take, waits };
}

const full = new ApiError(507, { kind: "OutputError", message: "disk full" });
const away = new ApiError(0, { kind: "unreachable", message: "" });
const stale = new ApiError(409, { kind: "stale", message: "" });

describe("edits", () => {
  it("are sent one after the other, each with the revision of the answer before", async () => {
    const { made, take } = queue();
    const revisions: number[] = [];
    const send = async (revision: number) => {
      revisions.push(revision);
      await Promise.resolve();
      return revision + 10;
    };
    await Promise.all([made.run(send, take), made.run(send, take), made.run(send, take)]);
    await made.settled();
    expect(revisions).toEqual([1, 11, 21]);
    expect(made.state.value).toBe("saved");
  });

  it("are sent again while the disk is full or the server away", async () => {
    const { made, take, waits } = queue();
    const answers: (Error | number)[] = [full, full, away, 7];
    const states: string[] = [];
    const send = async () => {
      states.push(made.state.value);
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer as number;
    };
    await made.run(send, take);
    await made.settled();
    expect(waits).toEqual([5000, 5000, 1000]);
    expect(states).toEqual(["saving", "disk full", "disk full", "lost"]);
    expect(made.state.value).toBe("saved");
  });

  it("that are refused do not hold up the next one", async () => {
    const { made, take } = queue();
    const first = made.run(() => Promise.reject(stale), take);
    const second = made.run(async () => 5, take);
    await expect(first).rejects.toBe(stale);
    await second;
    await made.settled();
    expect(made.idle).toBe(true);
  });

  it("can be waited for", async () => {
    const { made, take } = queue();
    let done = false;
    const slow = async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      done = true;
      return 2;
    };
    void made.run(slow, take);
    expect(made.idle).toBe(false);
    await made.settled();
    expect(done).toBe(true);
  });
});
