/**
 * One line of the log as text: JSON whose every unprintable character is escaped, so that no field can fake a line
 * or steer a terminal. Also reads the end of a log whose peer no longer runs.
 *
 *   {"at":"2026-01-31T12:00:00.000Z","level":"info","scope":"transport","message":"...","fields":{...}}
 */
import { closeSync, fstatSync, lstatSync, openSync, readSync } from 'node:fs'
import { dirname } from 'node:path'
import { limits } from '../base/limits.ts'
import type { LogLevel } from '../base/log.ts'
import { printableJson } from '../base/printable.ts'
import type { LogLine } from '../peer/api.ts'
import { logPath } from './home-path.ts'

/** With its newline; at most limits.logLineBytes or so: fields that are longer are left out. */
export function formatLogLine(line: LogLine): string {
  const { atMs, ...rest } = line
  const head = { at: new Date(atMs).toISOString(), ...rest }
  const written = `${stringify(head)}\n`
  if (written.length <= limits.logLineBytes) return written
  const message = line.message.slice(0, 1_000)
  return `${stringify({ ...head, message, fields: { omittedBytes: written.length } })}\n`
}

function stringify(value: unknown): string {
  try {
    return printableJson(value)
  } catch (error) {
    // A field that refers to itself: say so rather than lose the line
    return printableJson({
      level: 'error',
      message: 'log fields cannot be written',
      fields: { error: String(error) },
    })
  }
}

const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

/** @returns undefined for what is no log line, such as one torn by a power cut. */
export function parseLogLine(text: string): LogLine | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
  const fields: Readonly<Record<string, unknown>> =
    typeof value === 'object' && value !== null ? { ...value } : {}
  const level = levels.find((known) => known === fields['level'])
  if (level === undefined || typeof fields['message'] !== 'string') return undefined
  const { scope, fields: given } = { scope: fields['scope'], fields: fields['fields'] }
  return {
    atMs: Date.parse(String(fields['at'])) || 0,
    level,
    scope: typeof scope === 'string' ? scope : '',
    message: fields['message'],
    fields: typeof given === 'object' && given !== null ? { ...given } : {},
  }
}

/** The newest lines of the running log, oldest first. @returns none when there is no log. */
export function readLogTail(home: string, maxLines: number): readonly LogLine[] {
  const directory = lstatSync(dirname(logPath(home)), { throwIfNoEntry: false })
  if (directory?.isDirectory() !== true) return [] // lstat of a path below a file throws
  const stat = lstatSync(logPath(home), { throwIfNoEntry: false })
  if (stat === undefined || !stat.isFile() || maxLines === 0) return []
  const handle = openSync(logPath(home), 'r')
  try {
    const sizeBytes = fstatSync(handle).size
    const buffer = Buffer.alloc(Math.min(sizeBytes, limits.logFileBytes))
    const readBytes = readSync(handle, buffer, 0, buffer.byteLength, sizeBytes - buffer.byteLength)
    const lines = buffer
      .subarray(0, readBytes)
      .toString('utf8')
      .split('\n')
      .slice(-maxLines - 1)
    return lines.flatMap((line) => parseLogLine(line) ?? []).slice(-maxLines)
  } finally {
    closeSync(handle)
  }
}
