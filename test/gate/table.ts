/**
 * The table: every sink with its rows. One for stored records, skills or anything else is a line here.
 */
import { replies } from "./replies.js"
import { sandbox } from "./sandbox.js"
import { stored } from "./stored.js"
import { instructions, skillNames, skillOptions, skills } from "./workspace.js"
import type { Sink } from "./sink.js"
import { agents, names, options, prompts, shell, tasks } from "./callers.js"
import {
  compactions,
  compactionSettings,
  edits,
  forks,
  imports,
  labels,
  moves,
  prunes,
  rewinds,
  searches,
  summaries,
  whatIfs
} from "./histories.js"
import { ends, lookups, models, rows, shellOptions, taskOptions } from "./more.js"
import { port, results, tools, usage } from "./models.js"

export const table: ReadonlyArray<Sink> = [
  names,
  prompts,
  options,
  tasks,
  shell,
  agents,
  tools,
  ...results,
  port,
  usage,
  ...replies,
  models,
  taskOptions,
  shellOptions,
  lookups,
  rows,
  ends,
  sandbox,
  skills,
  skillNames,
  skillOptions,
  instructions,
  forks,
  moves,
  rewinds,
  edits,
  labels,
  whatIfs,
  compactions,
  summaries,
  compactionSettings,
  searches,
  prunes,
  imports,
  stored
]
