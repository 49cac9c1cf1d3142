/**
 * Sessions in a database, over any client of `@effect/sql` for SQLite or Postgres.
 */
export * as SqlSessionStore from "./layers/SqlSessionStore.js"
