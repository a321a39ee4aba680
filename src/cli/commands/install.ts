/** `skein install`: writes the unit file of this system's service manager, and says how to switch it on. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname } from 'node:path'
import { SkeinError } from '../../base/errors.ts'
import { createServiceUnit } from '../../program/install.ts'
import { compileCachePath, daemonNodeOptions } from '../../program/program.ts'
import type { Command, Invocation } from '../command.ts'
import { isSet } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { safe } from '../terminal.ts'

export const install: Command = {
  summary: 'write a systemd unit or launchd plist',
  examples: ['skein install', 'skein install --print', 'skein install --home /srv/skein'],
  options: [
    { notation: '--print', about: 'only show it' },
    { notation: '--force', about: 'replace one that is there and differs' },
  ],
  run: writeUnit,
}

function writeUnit(call: Invocation): Promise<number> {
  const unit = createServiceUnit(process.platform, {
    nodePath: process.execPath,
    nodeOptions: daemonNodeOptions,
    daemonPath: call.daemonEntry,
    home: call.home,
    compileCachePath: compileCachePath(),
    userDirectory: homedir(),
  })
  if (unit === undefined) {
    throw new SkeinError('config.invalid', `no service manager is known for ${process.platform}`, {
      fix: 'let your system run at log-in: skein up',
    })
  }
  call.terminal.json(unit)
  if (isSet(call, 'print')) {
    if (!call.terminal.isJson) call.terminal.write(unit.text)
    return Promise.resolve(exitCodes.ok)
  }
  const present = readIfPresent(unit.path)
  if (present !== undefined && present !== unit.text && !isSet(call, 'force')) {
    throw new SkeinError('config.invalid', `${unit.path} is there and differs`, {
      fix: 'compare with skein install --print, then skein install --force',
    })
  }
  mkdirSync(dirname(unit.path), { recursive: true })
  writeFileSync(unit.path, unit.text, { mode: 0o644 })
  call.terminal.print(safe`wrote ${unit.path}`)
  const lines = [
    ...unit.enable.map((line) => `  ${line}`),
    'and off again:',
    ...unit.disable.map((line) => `  ${line}`),
  ]
  call.terminal.say(['Nothing was switched on. To do so:', ...lines].join('\n'))
  return Promise.resolve(exitCodes.ok)
}

function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
