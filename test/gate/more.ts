/**
 * What reaches the operations themselves: their options, the names of models and agents, errors that come back.
 */
import { Effect } from "effect"
import { Agent, Errors, type Model } from "effect-baton"
import { canary, limits } from "./ground.js"
import { sink } from "./sink.js"
import { emitting, inSession } from "./stages.js"
import * as V from "./values.js"

const agent = Agent.make("a", { limits })

export const models = sink(
  "models and thinking",
  inSession<unknown>((given, session) => session.prompt("go", V.untyped(given))),
  [
    ["R", "model: a number", () => ({ model: 5 }), /model/],
    ["R", "model: empty", () => ({ model: "" }), /model/],
    ["R", "model: null", () => ({ model: null }), /model/],
    ["R", "model: half of a pair", () => ({ model: `m${V.half}` }), /model/],
    ["R", "model: NUL", () => ({ model: `${canary}\0` }), /model/],
    ["R", "model: 1 MB", () => ({ model: "m".repeat(V.mega) }), /model/],
    ["R", "fallbacks: a text", () => ({ fallbacks: canary }), /fallbacks/],
    ["R", "fallbacks: a number in it", () => ({ fallbacks: ["m", 5] }), /fallbacks\[1\]/],
    ["R", "fallbacks: revoked", () => ({ fallbacks: V.revokedArray() }), /fallbacks/],
    ["R", "thinking: mistyped", () => ({ thinking: "extreme" }), /thinking/],
    ["R", "a number", () => 5, /options/],
    ["R", "a hostile proxy", V.hostile, /options/]
  ]
)

export const taskOptions = sink(
  "task options",
  inSession<unknown>((given, session) => session.task("do it", V.untyped(given))),
  [
    ["R", "agent: null", () => ({ agent: null }), /agent/],
    ["R", "agent: a number", () => ({ agent: 5 }), /agent/],
    ["R", "agent: an object", () => ({ agent: {} }), /agent/],
    ["R", "agent: a hostile proxy", () => ({ agent: V.hostile() }), /agent/],
    ["R", "description: a number", () => ({ description: 5 }), /description/],
    ["C", "description: half of a pair", () => ({ description: `d${V.half}` })],
    ["R", "cwd: a number", () => ({ cwd: 5 }), /cwd/],
    ["R", "cwd: NUL", () => ({ cwd: `${canary}\0` }), /cwd/],
    ["R", "cwd: half of a pair", () => ({ cwd: V.half }), /cwd/],
    ["R", "model: a number", () => ({ model: 5 }), /model/],
    ["R", "limits: NaN", () => ({ limits: { turns: Number.NaN } }), /limits\.turns/],
    ["R", "limits: a text", () => ({ limits: "x" }), /limits/],
    ["R", "a hostile proxy", V.hostile, /options/]
  ]
)

export const shellOptions = sink(
  "shell options",
  inSession<unknown>((given, session) => session.shell("true", V.untyped(given))),
  [
    ["R", "cwd: a number", () => ({ cwd: 5 }), /cwd/],
    ["R", "env: a text", () => ({ env: canary }), /env/],
    ["R", "env: a number in it", () => ({ env: { KEY: 5 } }), /env\.KEY/],
    ["R", "env: a getter", () => ({ env: V.getter("KEY") }), /env\.KEY/],
    ["R", "env: a hostile proxy", () => ({ env: V.hostile() }), /env/],
    ["R", "timeout: a text", () => ({ timeout: "5" }), /timeout/],
    ["R", "timeout: a bigint", () => ({ timeout: 5n }), /timeout/],
    ["R", "onBusy: steer", () => ({ onBusy: "steer" }), /onBusy/],
    ["R", "a hostile proxy", V.hostile, /options/]
  ]
)

type Call = "get" | "remove" | "list" | "create"

const found = (call: Call, id: unknown) => [call, id] as const

export const lookups = sink(
  "names that are looked up",
  inSession<readonly [Call, unknown]>(([call, given], _, sessions) => {
    const id = V.untyped(given)
    if (call === "remove") return sessions.remove(id)
    if (call === "list") return sessions.list(id)
    return sessions[call]({ id, agent })
  }),
  [
    ["R", "get: a name that nobody has", () => found("get", "nobody"), /no session/],
    ["R", "get: a child that is none", () => found("get", `task:${canary}`), /no session|session id/],
    ["R", "get: a child with NUL", () => found("get", "task:s:\0"), /no session|session id/],
    ["R", "get: a child of 1 MB", () => found("get", `task:${"x".repeat(V.mega)}`), /no session|session id/],
    ["R", "get: a number", () => found("get", 5), /it is not a text/],
    ["R", "create: half of a pair", () => found("create", V.half), /half of a surrogate pair/],
    ["R", "remove: a name that nobody has", () => found("remove", "nobody"), /no session/],
    ["R", "remove: NUL", () => found("remove", `${canary}\0`), /no session/],
    ["R", "remove: an object", () => found("remove", V.unprintable()), /no session/],
    ["R", "remove: a hostile proxy", () => found("remove", V.hostile()), /no session/],
    ["A", "list: a name that nobody has", () => found("list", "nobody")],
    ["A", "list: __proto__", () => found("list", "__proto__")]
  ]
)

const failing = (error: () => unknown) => () => emitting(() => Effect.fail(error()))
const finishing = (finish: unknown) => () =>
  emitting((emit) => {
    emit({ _tag: "TextDelta", text: "x" } satisfies Model.ModelEvent)
    return Effect.succeed(finish)
  })
const unavailable = (more: object) => () => new Errors.ModelUnavailable({ model: "m", reason: "busy", ...more })

export const ends = sink("ends of a round-trip", (stage: ReturnType<typeof emitting>) => stage, [
  ["P", "unavailable, for NaN", failing(unavailable({ retryAfter: Number.NaN }))],
  ["P", "unavailable, for -1", failing(unavailable({ retryAfter: -1 }))],
  [
    "P",
    "rejected, with the secret",
    failing(() => new Errors.ModelRejected({ model: "m", reason: canary, cause: canary })),
    /<redacted>/
  ],
  ["P", "rejected, with half of a pair", failing(() => new Errors.ModelRejected({ model: "m", reason: V.half }))],
  [
    "P",
    "rejected, with 10 MB",
    failing(() => new Errors.ModelRejected({ model: "m", reason: "x".repeat(10 * V.mega) }))
  ],
  ["P", "a failure without a kind", failing(() => undefined), /./],
  ["P", "a failure that is a text", failing(() => canary), /./],
  ["C", "a reason that is none", finishing({ reason: "banana", usage: undefined })],
  ["P", "no end", finishing(undefined)],
  ["P", "an end that is hostile", finishing(V.hostile())]
])

const opened = (more: object) => () => more

export const rows = sink(
  "what a session is opened with",
  inSession<object>((more, _, sessions) =>
    Effect.flatMap(sessions.open({ id: "t", agent, ...more }), (session) => session.prompt("go"))
  ),
  [
    ["R", "an agent's name with half of a pair", opened({ agent: Agent.make(`a${V.half}`) }), /agent\.name/],
    ["R", "an agent's name with NUL", opened({ agent: Agent.make("a\0") }), /agent\.name/],
    ["A", "a folder with half of a pair", opened({ cwd: V.half })],
    ["A", "a folder with NUL", opened({ cwd: `${canary}\0` })]
  ]
)
