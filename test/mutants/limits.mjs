/**
 * Faults in what bounds a prompt: budgets, deadlines, progress, and the result that is wanted.
 */

const budget = "src/services/Budget.ts"
const alarms = "src/layers/Alarms.ts"
const progress = "src/programs/Progress.ts"
const wanted = "src/programs/wanted.ts"
const byBudget = ["test/services/Budget.test.ts"]
const byAlarms = ["test/layers/Alarms.test.ts"]
const byLimits = ["test/programs/limits.test.ts"]

export const limits = [
  {
    name: "budget: a grant holds nothing",
    file: budget,
    find: "      at.held = plus(at.held, amount)\n",
    replace: "",
    tests: byBudget
  },
  {
    name: "budget: a grant in the instant of the interruption is not given back",
    file: budget,
    find: "if (!(waiting.answer instanceof LimitReached)) waiting.answer.settle(nothing)",
    replace: "void 0",
    tests: byBudget
  },
  {
    name: "budget: who is interrupted keeps its place in line",
    file: budget,
    find: "            line.splice(line.indexOf(waiting), 1)\n",
    replace: "",
    tests: byBudget
  },
  {
    name: "budget: the line is not served when its first goes away",
    file: budget,
    find: "line.splice(line.indexOf(waiting), 1)\n            this.root().serve()",
    replace: "line.splice(line.indexOf(waiting), 1)",
    tests: byBudget
  },
  {
    name: "budget: what is given back wakes nobody",
    file: budget,
    find: "      }\n      this.root().serve()\n    }\n    return { output, settle }",
    replace: "      }\n    }\n    return { output, settle }",
    tests: byBudget
  },
  {
    name: "budget: newcomers overtake the line",
    file: budget,
    find: "line.length === 0 ? this.attempt(wish) : undefined",
    replace: "this.attempt(wish)",
    tests: byBudget
  },
  {
    name: "budget: a child is not counted in its parent's",
    file: budget,
    find: "this.chain = [this, ...(parent?.chain ?? [])]",
    replace: "this.chain = [this, ...(parent?.chain ?? []).slice(1)]",
    tests: byBudget
  },
  {
    name: "budget: settled twice it is spent twice",
    file: budget,
    find: "      if (!open) return\n",
    replace: "",
    tests: byBudget
  },
  {
    name: "budget: the last scrap is taken while others may give something back",
    file: budget,
    find: "free < Math.min(wished, useful) && at.held[limit] > 0",
    replace: "free < 1 && at.held[limit] > 0",
    tests: byLimits
  },
  {
    name: "budget: one of a task's own stands beside its parent's",
    file: "src/programs/prompt.ts",
    find: "new Budget({ tokens, cost }, inherited?.budget)",
    replace: "new Budget({ tokens, cost })",
    tests: byLimits
  },
  {
    name: "budget: a round-trip that fails gives nothing back",
    file: "src/programs/round.ts",
    find: `spend(failure._tag === "Some" ? failure.value.usage : (operation.reply?.used() ?? Usage.zero))`,
    replace: "",
    tests: byLimits
  },
  {
    name: "alarms: an earlier one does not wake the sleeper",
    file: alarms,
    find: "else if (due < this.wakes) {",
    replace: "else if (due < Number.NEGATIVE_INFINITY) {",
    tests: byAlarms
  },
  {
    name: "alarms: the next one is slept past",
    file: alarms,
    find: "this.sleepUntil(Math.min(due, now + Math.max(shortest, now - oldest)), now)",
    replace: "this.sleepUntil(now + Math.max(shortest, now - oldest), now)",
    tests: byAlarms
  },
  {
    name: "alarms: fires twice",
    file: alarms,
    find: "      alarm.fire()\n",
    replace: "      alarm.fire()\n      alarm.fire()\n",
    tests: byAlarms
  },
  {
    name: "alarms: fires before its time",
    file: alarms,
    find: "      if (alarm.due > now) continue\n",
    replace: "",
    tests: byAlarms
  },
  {
    name: "alarms: what was unset fires",
    file: alarms,
    find: "        alarm.due = Number.POSITIVE_INFINITY\n        beats.get(clock)?.unset(alarm)\n",
    replace: "",
    tests: byAlarms
  },
  {
    name: "alarms: sleeps on where none is set",
    file: alarms,
    find: "    if (this.alarms.size === 0) return this.stopped()\n",
    replace: "",
    tests: byAlarms
  },
  {
    name: "progress: one round too many",
    file: progress,
    find: "matches < period * (this.repeats - 1)",
    replace: "matches < period * this.repeats",
    tests: byLimits
  },
  {
    name: "progress: one turn too few",
    file: progress,
    find: "matches < period * (this.repeats - 1)",
    replace: "matches < period * (this.repeats - 1) - 1",
    tests: byLimits
  },
  {
    name: "progress: polling is not exempt",
    file: progress,
    find: "if (!this.isPolling(call.name)) turn.push",
    replace: "turn.push",
    tests: byLimits
  },
  {
    name: "progress: no cycle longer than two turns",
    file: progress,
    find: "period <= longest; period++",
    replace: "period <= 2; period++",
    tests: byLimits
  },
  {
    name: "progress: the same call with another result is none",
    file: progress,
    find: "      sameResult(it.result, other.result) &&\n",
    replace: "",
    tests: byLimits
  },
  {
    name: "progress: the model is told and never stopped",
    file: "src/programs/converse.ts",
    find: "if (cycle !== undefined && warned) return new NoProgress(cycle)",
    replace: "",
    tests: byLimits
  },
  {
    name: "result: the second finish wins",
    file: wanted,
    find: `    if (this.verdict !== undefined) return Effect.fail({ text: "The work is finished already." })\n    if (!this.mayEnd())`,
    replace: "    if (!this.mayEnd())",
    tests: byLimits
  },
  {
    name: "result: one that is not of the kind is accepted",
    file: wanted,
    find: "Effect.matchEffect(this.tools.decode(encoded), {",
    replace: "Effect.matchEffect(Effect.catchAll(this.tools.decode(encoded), () => Effect.succeed(encoded)), {",
    tests: byLimits
  },
  {
    name: "result: reminded without end",
    file: "src/programs/converse.ts",
    find: "if (wanted.reminders < limits.reminders) {",
    replace: "if (wanted.reminders < Number.POSITIVE_INFINITY) {",
    tests: byLimits
  },
  {
    name: "result: accepted while a message waits that the model has not seen",
    file: wanted,
    find: "if (!this.mayEnd()) return",
    replace: "if (!this.mayEnd() && this.verdict !== undefined) return",
    tests: ["test/programs/policies.test.ts"]
  }
]
