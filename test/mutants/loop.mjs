/**
 * Faults in the turns of a prompt: a round-trip, its retries, and what is counted and told of them.
 */

const round = "src/programs/round.ts"
const attempts = "src/programs/attempts.ts"
const reply = "src/programs/Reply.ts"
const operation = "src/programs/operation.ts"
const ends = "src/programs/ends.ts"
const bodies = "src/programs/bodies.ts"
const held = "src/programs/held.ts"
const ofContext = "        context: engine.context as Context.Context<R | Needs>,\n"
const byRetries = ["test/programs/retries.test.ts"]
const byEvents = ["test/programs/events.property.test.ts"]

export const loop = [
  {
    name: "round: nobody watches a silent model",
    file: round,
    find: "if (idle !== Number.POSITIVE_INFINITY) look()",
    replace: "void look",
    tests: byRetries
  },
  {
    name: "round: what a model says does not count as a sign of life",
    file: reply,
    find: "    this.heardAt = this.operation.clock.unsafeCurrentTimeMillis()\n",
    replace: "",
    tests: byRetries
  },
  {
    name: "round: a late reply is taken",
    file: reply,
    find: "    if (this.ended) return\n",
    replace: "",
    tests: byRetries
  },
  {
    name: "round: the fiber of a model that is given up is not ended",
    file: held,
    find: "    fiber.unsafeInterruptAsFork(fiber.id())\n    this.watch(",
    replace: "    void fiber\n    this.watch(",
    tests: byRetries
  },
  {
    name: "round: a model that cannot be interrupted is waited for",
    file: round,
    find: "operation.endAsking(() => resume(Effect.succeed(undefined)))",
    replace: "operation.endAsking(() => undefined)",
    tests: byRetries
  },
  {
    name: "round: an interrupted operation waits for a model that cannot be",
    file: bodies,
    find: "      running.endAsking(go)\n",
    replace: "      running.endAsking(() => undefined)\n",
    tests: byRetries
  },
  {
    name: "turn: attempts in a row are not counted",
    file: attempts,
    find: "inARow: failed.inARow + 1",
    replace: "inARow: failed.inARow",
    tests: byRetries
  },
  {
    name: "turn: the next model inherits the attempts of the one before",
    file: attempts,
    find: "ask({ ...failed, inARow: 0, last })",
    replace: "ask({ ...failed, last })",
    tests: byRetries
  },
  {
    name: "turn: attempts are counted over the whole prompt",
    file: attempts,
    find: "const none: Attempts = { inARow: 0,",
    replace: "let kept = 0\nconst none: Attempts = { get inARow() { return kept++ },",
    tests: byRetries
  },
  {
    name: "turn: what the provider asks for is not heeded",
    file: attempts,
    find: "if (asked !== undefined) return Effect.succeed(asked)",
    replace: "void asked",
    tests: byRetries
  },
  {
    name: "turn: waits however long the provider asks",
    file: attempts,
    find: "if (!tooLong && failed.inARow",
    replace: "if (failed.inARow",
    tests: byRetries
  },
  {
    name: "turn: the wait does not grow",
    file: attempts,
    find: "first * 2 ** inARow",
    replace: "first * 2 ** Math.min(0, inARow)",
    tests: byRetries
  },
  {
    name: "turn: a permanent error is tried again",
    file: attempts,
    find: `if (error._tag === "ModelUnavailable") return wait(`,
    replace: `if (error._tag === "ModelUnavailable" || error._tag === "ModelRejected") return wait(`,
    tests: byRetries
  },
  {
    name: "turn: no fallback is tried",
    file: attempts,
    find: "const [next, ...fallbacks] = call.fallbacks",
    replace: "const [next, ...fallbacks] = call.fallbacks.slice(call.fallbacks.length)",
    tests: byRetries
  },
  {
    name: "turn: a fallback that nobody serves is not passed over",
    file: attempts,
    find: `error._tag === "ModelNotConfigured" ? failed.last : undefined`,
    replace: "undefined",
    tests: ["test/programs/inputs.test.ts"]
  },
  {
    name: "turn: every fallback is the first",
    file: attempts,
    find: "{ ...call, model: next, fallbacks }",
    replace: "{ ...call, model: next, fallbacks: [next, ...fallbacks] }",
    tests: byRetries
  },
  {
    name: "turn: an empty reply is not asked for again",
    file: attempts,
    find: "const again = isEmpty(it) && ",
    replace: "const again = isEmpty(it) && failed.empty && ",
    tests: byRetries
  },
  {
    name: "turn: empty replies are asked for again and again",
    file: attempts,
    find: "!failed.empty && ",
    replace: "",
    tests: byRetries
  },
  {
    name: "usage: a failed attempt counts twice",
    file: "src/programs/held.ts",
    find: "this.journal.retries = Usage.add(this.journal.retries, usage)",
    replace: "this.journal.retries = Usage.add(Usage.add(this.journal.retries, usage), usage)",
    tests: byRetries
  },
  {
    name: "usage: a reply that was cut is forgotten",
    file: ends,
    find: "  journal.turns = Usage.add(journal.turns, usage)\n  const text",
    replace: "  const text",
    tests: byRetries
  },
  {
    name: "usage: a cut reply of which nothing is kept is forgotten",
    file: ends,
    find: "    journal.retries = Usage.add(journal.retries, usage)\n    return []",
    replace: "    return []",
    tests: byRetries
  },
  {
    name: "usage: the last reply is not counted",
    file: ends,
    find: "  running.count()\n",
    replace: "",
    tests: byRetries
  },
  {
    name: "usage: a stored reply counts again when the operation is cut",
    file: held,
    find: "Usage.add(this.journal.turns, this.reply.used())\n    this.drop()",
    replace: "Usage.add(this.journal.turns, this.reply.used())",
    tests: ["test/programs/usage.property.test.ts"]
  },
  {
    name: "usage: tasks are not counted",
    file: "src/programs/task.ts",
    find: "  journal.tasks = Usage.add(journal.tasks, usage)\n",
    replace: "  void journal\n",
    tests: ["test/programs/limits.test.ts"]
  },
  {
    name: "usage: what costs nothing hides what the next costs",
    file: "src/services/Usage.ts",
    find: "a.cost + (b.cost ?? 0)",
    replace: "a.cost",
    tests: ["test/programs/limits.test.ts"]
  },
  {
    name: "events: a turn that fails has no end",
    file: held,
    find: "if (!this.inTurn) return",
    replace: "if (!this.inTurn || error !== undefined) return",
    tests: byEvents
  },
  {
    name: "events: what was left behind ends after its operation",
    file: bodies,
    find: "  return leaving.size === 0\n",
    replace: "  return leaving.size >= 0\n",
    tests: byEvents
  },
  {
    name: "events: an end that cannot be stored is not told",
    file: ends,
    find: "      tellUnstored(running, drafts)\n",
    replace: "",
    tests: ["test/programs/faults.test.ts"]
  },
  {
    name: "events: nobody is told that a session is idle",
    file: operation,
    find: `are in there.\n${ofContext}        onIdle: () => engine.events.publish(`,
    replace: `are in there.\n${ofContext}        onIdle: () => void (`,
    tests: byEvents
  },
  {
    name: "spans: made for Effect's own tracer",
    file: "src/programs/spans.ts",
    find: "Context.unsafeGet(services, Tracer.Tracer) !== own && ",
    replace: "services !== own && ",
    tests: ["test/programs/spans.test.ts"]
  },
  {
    name: "spans: what is done in a span does not have it for its parent",
    file: "src/programs/spans.ts",
    find: "restore(Effect.withParentSpan(effect, span))",
    replace: "restore(effect)",
    tests: ["test/programs/spans.test.ts"]
  },
  {
    name: "spans: a failure's words are told",
    file: "src/programs/spans.ts",
    find: `(error instanceof Error ? error : "failed")`,
    replace: "error",
    tests: ["test/programs/spans.test.ts"]
  }
]
