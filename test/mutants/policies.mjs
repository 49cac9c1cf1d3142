/**
 * Faults in what becomes of a text that comes while a prompt runs.
 */

const inbox = "src/layers/Inbox.ts"
const join = "src/programs/join.ts"
const converse = "src/programs/converse.ts"
const conversation = "src/services/Conversation.ts"
const byPolicies = ["test/programs/policies.test.ts"]

export const policies = [
  {
    name: "join: a text that is interrupted stays in the inbox",
    file: join,
    find: "          withdraw()\n          return Effect.zipRight(ended(",
    replace: "          return Effect.zipRight(ended(",
    tests: byPolicies
  },
  {
    name: "join: a text whose prompt fails to be admitted stays in the inbox",
    file: join,
    find: "          withdraw()\n        }\n        return exit",
    replace: "        }\n        return exit",
    tests: byPolicies
  },
  {
    name: "join: what was delivered is prompted as well",
    file: join,
    find: "withdraw() ? undefined : delivered === undefined ? Effect.interrupt : Effect.succeed(delivered)",
    replace: "(withdraw(), undefined)",
    tests: ["test/programs/policies.property.test.ts"],
    runs: 3_000
  },
  {
    name: "join: what is prompted by itself stays in the inbox",
    file: join,
    find: "withdraw() ? undefined : delivered === undefined",
    replace: "delivered === undefined ? undefined : delivered === undefined",
    tests: byPolicies
  },
  {
    name: "join: what is promised is forgotten",
    file: join,
    find: "  input.promised = true\n",
    replace: "",
    tests: byPolicies
  },
  {
    name: "inbox: what is taken stays there",
    file: inbox,
    find: "inputs.filter((it) => !taken.includes(it))",
    replace: "inputs",
    tests: byPolicies
  },
  {
    name: "inbox: followUp is delivered as steer is",
    file: inbox,
    find: `inputs.filter((it) => when === "all" || it.when === when)`,
    replace: "inputs",
    tests: byPolicies
  },
  {
    name: "inbox: what is given back stands behind what came since",
    file: inbox,
    find: "[...inputs, ...(waiting.get(incarnation) ?? [])]",
    replace: "[...(waiting.get(incarnation) ?? []), ...inputs]",
    tests: byPolicies
  },
  {
    name: "converse: what could not be stored is not given back",
    file: converse,
    find: "              engine.inbox.giveBack(ref.incarnation, inputs)\n",
    replace: "",
    tests: byPolicies
  },
  {
    name: "converse: who joined is not told",
    file: converse,
    find: "for (const input of delivered) input.onDelivered(running.id)",
    replace: "",
    tests: byPolicies
  },
  {
    name: "converse: no last look into the inbox",
    file: converse,
    find: "if (last ? engine.inbox.owes(ref.incarnation) : engine.inbox.waits(ref.incarnation)) return goOn(own)",
    replace: "",
    tests: byPolicies
  },
  {
    name: "converse: what is owed is not looked for in the last turn",
    file: converse,
    find: "if (last ? engine.inbox.owes(ref.incarnation) : engine.inbox.waits(ref.incarnation)) return goOn(own)",
    replace: "if (!last && engine.inbox.waits(ref.incarnation)) return goOn(own)",
    tests: byPolicies
  },
  {
    name: "converse: takes what could not be answered any more",
    file: converse,
    find: "    if (turns + 1 >= limits.turns) return next(turns + 1)\n",
    replace: "",
    tests: byPolicies
  },
  {
    name: "converse: the inbox stays open after the last look",
    file: converse,
    find: "      engine.inbox.close(ref.incarnation)\n      return Effect.succeed(",
    replace: "      return Effect.succeed(",
    tests: byPolicies
  },
  {
    name: "rollback: the head is not moved",
    file: "src/programs/prompt.ts",
    find: "[Draft.headMoved(lastStart.before)]",
    replace: "[]",
    tests: byPolicies
  },
  {
    name: "rollback: takes back what somebody else interrupted",
    file: "src/programs/prompt.ts",
    find: "lastCut?.by === operationId && ",
    replace: "lastCut !== undefined && operationId !== undefined && ",
    tests: byPolicies
  },
  {
    name: "rollback: the fold does not go back",
    file: conversation,
    find: "    this.folded.length = before.length\n",
    replace: "",
    tests: byPolicies
  },
  {
    name: "rollback: a message keeps what was joined to it",
    file: conversation,
    find: 'this.folded[before.length - 1] = isGrown ? { role: "user", content: last.content.slice(0, parts) } : last',
    replace: "",
    tests: byPolicies
  },
  {
    name: "rollback: the word on an interruption stays",
    file: conversation,
    find: "    this.note = before.note\n",
    replace: "",
    tests: byPolicies
  }
]
