/** `skein version`: of this command; the running peer's is in `skein status`. */
import { readVersion } from '../../program/program.ts'
import type { Command } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'

export const version: Command = {
  summary: 'the version of skein',
  examples: ['skein version'],
  run: (call) => {
    const found = readVersion()
    call.terminal.json({ version: found, node: process.versions.node })
    call.terminal.print(found)
    return Promise.resolve(exitCodes.ok)
  },
}
