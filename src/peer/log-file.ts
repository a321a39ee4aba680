/**
 * The log on disk: one JSON object a line, moved aside at a size, a few old ones kept. Lines are written at once and
 * synchronously: logging is rare, and the last words before a crash are the ones that matter. A full disk
 * loses log lines, never the peer.
 */
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Clock } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import type { LogRecord } from '../base/log.ts'
import type { LogLine } from './api.ts'
import { formatLogLine } from '../program/log-line.ts'

export interface LogFile extends Disposable {
  write(record: LogRecord): void
  /** Each line as it is written. */
  onLine(listener: (line: LogLine) => void): Disposable
  /** Lines that could not be written. */
  readonly lostCount: number
}

export interface LogFileOptions {
  readonly maxBytes?: number
  readonly keepFiles?: number
}

/** @throws the file system's error when the log cannot be opened at all. */
export function openLogFile(clock: Clock, path: string, options: LogFileOptions = {}): LogFile {
  const maxBytes = options.maxBytes ?? limits.logFileBytes
  const keepFiles = options.keepFiles ?? limits.logFiles
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  let handle = openSync(path, 'a', 0o600)
  let sizeBytes = fstatSync(handle).size
  let isOpen = true
  let lostCount = 0
  const listeners = new Set<(line: LogLine) => void>()

  const rotate = (): void => {
    for (let index = keepFiles - 1; index >= 1; index--) moveAside(`${path}.${index}`, `${path}.${index + 1}`)
    if (keepFiles > 0) moveAside(path, `${path}.1`)
    else rmSync(path, { force: true })
    closeSync(handle)
    isOpen = false
    handle = openSync(path, 'a', 0o600)
    isOpen = true
    sizeBytes = 0
  }
  return {
    get lostCount() {
      return lostCount
    },
    write(record) {
      const line = toLogLine(record, clock.nowMs())
      const bytes = Buffer.from(formatLogLine(line))
      try {
        if (sizeBytes > 0 && sizeBytes + bytes.byteLength > maxBytes) rotate()
        if (!isOpen) throw new Error('the log is closed')
        writeSync(handle, bytes)
        sizeBytes += bytes.byteLength
      } catch (error) {
        if (!(error instanceof Error)) throw error
        lostCount++ // because: the one place that cannot log its own failure; doctor shows the count
      }
      for (const listener of listeners) listener(line)
    },
    onLine(listener) {
      listeners.add(listener)
      return { [Symbol.dispose]: () => void listeners.delete(listener) }
    },
    [Symbol.dispose]() {
      if (isOpen) closeSync(handle)
      isOpen = false
    },
  }
}

function moveAside(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  }
}

const toLogLine = (record: LogRecord, atMs: number): LogLine => ({
  atMs,
  level: record.level,
  scope: record.scope,
  message: record.message,
  fields: record.fields,
})
