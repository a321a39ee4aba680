/**
 * A disk of its own for a test: a tmpfs of a given size in a mount namespace that only the processes started through
 * it see. A holder process keeps it alive; disposing ends the holder, and the disk is gone.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand, type CommandResult } from './netns-commands.ts'
import type { Lab } from './netns.ts'
import type { Launch } from './skein.ts'

export interface SmallDisk extends AsyncDisposable {
  /** Where the disk is, for processes started by `launch` and `exec`. */
  readonly path: string
  readonly launch: Launch
  exec(file: string, ...args: readonly string[]): Promise<CommandResult>
  resize(sizeBytes: number): Promise<void>
}

/** @param host of the lab whose network its processes have. */
export async function createSmallDisk(lab: Lab, host: number, sizeBytes: number): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), 'skein-disk-'))
  const script = `mount -t tmpfs -o size=${sizeBytes} tmpfs '${path}' && echo ready && exec sleep 100000`
  const holder = lab.spawn(host, 'unshare', ['-m', 'sh', '-c', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await ready(holder)
  const enter = ['-t', String(holder.pid), '-m', '-n']
  const exec: SmallDisk['exec'] = (file, ...args) =>
    runCommand('nsenter', [...enter, file, ...args], { timeoutMs: 60_000 })
  return {
    path,
    launch: (file, args) =>
      spawn('nsenter', [...enter, file, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }),
    exec,
    async resize(bytes) {
      await exec('mount', '-o', `remount,size=${bytes}`, path)
    },
    async [Symbol.asyncDispose]() {
      const ended = once(holder, 'exit')
      holder.kill('SIGKILL')
      await ended
      await rm(path, { recursive: true, force: true })
    },
  }
}

async function ready(holder: ChildProcess): Promise<void> {
  if (holder.stdout === null) throw new Error('the holder must give a pipe')
  const first = await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit')])
  if (!String(first[0]).startsWith('ready')) throw new Error('the small disk could not be made')
}
