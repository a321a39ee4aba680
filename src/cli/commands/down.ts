/** `skein down`: asks the peer to end in good order and waits until its process is gone. */
import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode, SkeinError } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { connectClient } from '../client.ts'
import type { Command, Invocation } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'

const pollMs = 20

export const down: Command = {
  summary: 'stop the background peer',
  examples: ['skein down', 'skein down --home /tmp/second'],
  run: stop,
}

async function stop(call: Invocation): Promise<number> {
  let pid: number
  try {
    using client = await connectClient(call.home)
    ;({ pid } = await client.call('down', {}))
    await untilGone(pid)
  } catch (error) {
    if (!hasCode(error, 'not.running')) throw error
    call.terminal.json({ wasRunning: false })
    call.terminal.print('skein was not running')
    return exitCodes.ok
  }
  call.terminal.json({ wasRunning: true, pid })
  call.terminal.print(`skein is down (process ${pid} has ended)`)
  return exitCodes.ok
}

async function untilGone(pid: number): Promise<void> {
  const patienceMs = limits.stopMs + 5_000
  for (let waitedMs = 0; isAlive(pid); waitedMs += pollMs) {
    if (waitedMs > patienceMs) {
      throw new SkeinError('deadline.exceeded', `process ${pid} has not ended`, { fix: `kill -9 ${pid}` })
    }
    await sleep(pollMs)
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false
    throw error
  }
}
