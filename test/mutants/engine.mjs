/**
 * Faults around the sessions: secrets, the end of an engine, and the models that it is given.
 */

const secrets = "src/services/Secrets.ts"
const lazy = "src/layers/registry/Lazy.ts"
const bySecrets = ["test/programs/secrets.test.ts"]
const byShutdown = ["test/programs/shutdown.test.ts"]
const byRegistry = ["test/layers/ModelRegistry.test.ts"]

export const engine = [
  {
    name: "secrets: told where they stand in a text",
    file: secrets,
    find: "clean = clean.replaceAll(secret, mark)",
    replace: "clean = clean.replace(secret, mark)",
    tests: bySecrets
  },
  {
    name: "secrets: told piece by piece while they stream",
    file: "src/programs/Reply.ts",
    find: "const held = heldBack(clean)",
    replace: "const held = Math.min(0, heldBack(clean))",
    tests: bySecrets
  },
  {
    name: "secrets: what was held at the end of a text is not told",
    file: "src/programs/Reply.ts",
    find: `    this.tellHeld("TextDelta")\n`,
    replace: "",
    tests: bySecrets
  },
  {
    name: "secrets: what was held at the end of reasoning is not told",
    file: "src/programs/Reply.ts",
    find: `    this.tellHeld("ReasoningDelta")\n`,
    replace: "",
    tests: bySecrets
  },
  {
    name: "secrets: forgotten with the first scope of two",
    file: secrets,
    find: "if (left === 0) known.delete(value)",
    replace: "if (left >= 0) known.delete(value)",
    tests: bySecrets
  },
  {
    name: "secrets: any word is one",
    file: secrets,
    find: "if (value.length < shortest) return Effect.void",
    replace: "",
    tests: bySecrets
  },
  {
    name: "shutdown: the operations are not awaited",
    file: "src/layers/SessionLock.ts",
    find: "return Effect.uninterruptible(drain(shutDown()))",
    replace: "return Effect.asVoid(Effect.forkDaemon(drain(shutDown())))",
    tests: byShutdown
  },
  {
    name: "shutdown: operations are admitted afterwards",
    file: "src/layers/SessionLock.ts",
    find: "      down = true\n",
    replace: "",
    tests: byShutdown
  },
  {
    name: "shutdown: taken for an interruption by the caller",
    file: "src/layers/lock/Table.ts",
    find: `        holder.interruptedBy ??= "shutdown"\n`,
    replace: "",
    tests: byShutdown
  },
  {
    name: "models: built by each who asks first",
    file: lazy,
    find: "(this.attempt ??= this.begin())",
    replace: "(this.attempt = this.begin())",
    tests: byRegistry
  },
  {
    name: "models: a failure is remembered",
    file: lazy,
    find: "          if (this.attempt === attempt) this.attempt = undefined\n          if (Exit.isFailure",
    replace: "          if (Exit.isFailure",
    tests: byRegistry
  },
  {
    name: "models: an attempt is given up with the first who goes",
    file: lazy,
    find: "if (attempt.askers > 0) return Effect.void",
    replace: "",
    tests: byRegistry
  },
  {
    name: "models: an attempt goes on without anybody who waits",
    file: lazy,
    find: "return Fiber.interrupt(attempt.fiber)",
    replace: "return Effect.void",
    tests: byRegistry
  },
  {
    name: "models: what was built in part is not released",
    file: lazy,
    find: "Effect.zipRight(Scope.close(scope, exit), Effect.failCause(exit.cause))",
    replace: "Effect.failCause(exit.cause)",
    tests: ["test/layers/Lazy.test.ts"]
  },
  {
    name: "models: errors bear the name that the layer knows",
    file: "src/layers/ModelRegistry.ts",
    find: "if (error.model === model) return error",
    replace: "if (error.model !== undefined) return error",
    tests: byRegistry
  },
  {
    name: "models: a prefix goes before an own name",
    file: "src/layers/ModelRegistry.ts",
    find: "    if (source !== undefined) return { source, id: undefined, name, names }\n",
    replace: `    if (source !== undefined && !name.includes("/")) return { source, id: undefined, name, names }\n`,
    tests: byRegistry
  }
]
