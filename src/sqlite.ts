/**
 * Sessions in an SQLite file, and the client that such a file is safe with.
 */
export * as SqliteClient from "./layers/SqliteClient.js"
export * as SqliteSessionStore from "./layers/SqliteSessionStore.js"
