// Baton as its users have it: the public API alone, argument validation, events, history and the lock switched on. The
// mock model is a layer of the Model port; subagents are reached through the real `task` tool.
import { importer, versionOf } from "../lib/common.mjs"

export const meta = {
  name: "baton",
  install: "baton",
  packages: ["effect-baton", "effect", "@effect/sql", "libsql"],
  core: ["effect-baton", "effect"],
  store: "Engine.layerMemory",
  durable: "SQLite (libsql), WAL, synchronous=FULL",
  delegation: "task tool"
}
export const versions = () => Object.fromEntries(meta.packages.map((name) => [name, versionOf("baton", name)]))

const usage = { input: 1, output: 1, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
const stop = { reason: "stop", usage }
const toolCalls = { reason: "tool-calls", usage }
const instructions = "You are a helpful assistant."

export async function load() {
  const imp = await importer("baton")
  const [Effect, Layer, ManagedRuntime, { Agent, Engine, Events, Limits, Model, SessionStore, Sessions, Tool }] =
    await Promise.all(["effect/Effect", "effect/Layer", "effect/ManagedRuntime", "effect-baton"].map((it) => imp(it)))

  /** Hands what a script says to the engine. Deltas come one microtask apart, as those of the other peers do. */
  const say = (reply, emit) => {
    if (reply.calls !== undefined) {
      for (const { args, id, name } of reply.calls) emit({ _tag: "ToolCall", id, name, args })
      return Effect.succeed(toolCalls)
    }
    if (reply.deltas === undefined) {
      emit({ _tag: "TextDelta", text: reply.text })
      return Effect.succeed(stop)
    }
    return Effect.promise(async () => {
      for (let i = 0; i < reply.deltas; i++) {
        await Promise.resolve()
        emit({ _tag: "TextDelta", text: reply.delta })
      }
      return stop
    })
  }

  /** One model for each agent: a session's model is asked for by the name of its agent. */
  const modelLayer = (scripts) =>
    Layer.succeed(Model.Model, {
      defaultModel: undefined,
      stream: (request, emit) =>
        Effect.suspend(() => {
          const reply = scripts.get(request.model)({ n: request.messages.length })
          return reply instanceof Promise
            ? Effect.flatMap(
                Effect.promise(() => reply),
                (it) => say(it, emit)
              )
            : say(reply, emit)
        })
    })

  /** An agent and those below it, and what their models say: `models` names them apart from those of other agents. */
  const agentOf = async (name, spec, scripts, models, limits) => {
    const model = `${models}/${name}`
    scripts.set(model, spec.script)
    const tools = []
    if (spec.tools?.length > 0) {
      const Schema = await imp("effect/Schema")
      const parameters = Schema.Struct({ text: Schema.String })
      for (const { description, name: tool, run } of spec.tools) {
        tools.push(Tool.make(tool, { description, parameters, run }))
      }
    }
    const subagents = []
    for (const it of spec.subagents ?? []) subagents.push(await agentOf(it.name, it, scripts, models))
    const { description } = spec
    return Agent.make(name, { description, instructions, model, tools, subagents, delegate: "off", limits })
  }

  let agents = 0

  return {
    /** Sessions in memory end with their engine, so the engine is the store; an agent is a plain value. */
    makeStore: () => {
      const scripts = new Map()
      const runtime = ManagedRuntime.make(Layer.provide(Engine.layerMemory, modelLayer(scripts)))
      return { scripts, runtime, sessions: undefined }
    },

    /** A file, its client and an engine over it. */
    openDurable: async (dir) => {
      const { SqliteSessionStore } = await imp("effect-baton/sqlite")
      const scripts = new Map()
      const store = SqliteSessionStore.layer({ filename: `${dir}/baton.db` })
      const runtime = ManagedRuntime.make(Layer.provideMerge(Engine.layer, Layer.merge(store, modelLayer(scripts))))
      return { scripts, runtime, sessions: undefined, close: () => runtime.dispose() }
    },

    async makeAgent({ maxParallel = 0, maxRounds = 0, store, ...spec }) {
      const wider = maxParallel > Limits.defaults.toolWidth ? { toolWidth: maxParallel } : undefined
      const longer = maxRounds > Limits.defaults.turns ? { turns: maxRounds } : undefined
      const limits = (wider ?? longer) ? { ...wider, ...longer } : undefined
      const agent = await agentOf("main", spec, store.scripts, `mock-${agents++}`, limits)
      store.sessions ??= await store.runtime.runPromise(Sessions.Sessions)
      return { agent, runtime: store.runtime, sessions: store.sessions }
    },

    async open({ agent, runtime, sessions }, id) {
      const session = await runtime.runPromise(sessions.open({ id, agent }))
      return {
        prompt: async (text) => (await runtime.runPromise(session.prompt(text))).text,

        /** As the docs print text while it arrives. */
        stream: (text, onDelta) =>
          runtime.runPromise(
            Effect.scoped(
              Effect.gen(function* () {
                const { listen } = yield* Events.Events
                yield* listen(session.id, (event) => {
                  if (event._tag === "TextDelta") onDelta(event.text)
                })
                return (yield* session.prompt(text)).text
              })
            )
          )
      }
    },

    /** A history as prompts leave it: each pair of messages is an operation. */
    async seed({ runtime }, _agent, id, messages) {
      const of = await runtime.runPromise(SessionStore.SessionStore)
      const incarnation = "seeded"
      const session = { id, incarnation, agent: "main", cwd: ".", parent: null, depth: 0, createdAt: 0 }
      const entries = []
      const add = (draft, operationId) => {
        const seq = entries.length + 1
        entries.push({ ...draft, id: seq, parentId: seq === 1 ? null : seq - 1, at: 0, operationId })
      }
      for (const [i, { role, text }] of messages.entries()) {
        const operationId = `seed-${i >> 1}`
        const content = [{ type: "text", text }]
        if (role === "user") {
          add({ _tag: "OperationStarted", kind: "prompt" }, operationId)
          add({ _tag: "User", content }, operationId)
        } else {
          add({ _tag: "Assistant", content, model: "main", finish: "stop", usage, usageReported: true }, operationId)
          const none = { ...usage, input: 0, output: 0 }
          const report = { turns: usage, retries: none, compactions: none, tasks: none, total: usage }
          add({ _tag: "OperationSettled", kind: "prompt", outcome: "completed", usage: report }, operationId)
        }
      }
      const write = { session: id, incarnation, owner: "seed", epoch: 0, lease: "claim", leaseFor: 0, expectedSeq: 1 }
      const none = { running: null, partial: null, children: [], delivered: [] }
      await runtime.runPromise(Effect.zipRight(of.create(session), of.append({ ...write, ...none, entries })))
    },

    delegate: (name, text) => ({ name: "task", args: { prompt: text, agent: name } })
  }
}
