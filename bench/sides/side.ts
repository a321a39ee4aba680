/** A bench's other processes: starts a script of this folder as a child and asks it things, one at a time. */
import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'

/** What a side answers with. */
export type Answer = Readonly<Record<string, unknown>>

export interface Side extends AsyncDisposable {
  readonly process: ChildProcess
  /** Sends a command and waits for its answer. @throws what the side threw. */
  ask(command: string, parameters?: Answer): Promise<Answer>
  /** User and system CPU seconds of the process so far. */
  cpuSeconds(): Promise<number>
}

export type Commands = Readonly<Record<string, (parameters: Answer) => Promise<Answer> | Answer>>

export interface SideOptions {
  /** A command to run it under, e.g. `ip netns exec NAME`. */
  readonly prefix?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** @param script name in this folder. */
export async function startSide(script: string, { prefix = [], env = {} }: SideOptions = {}): Promise<Side> {
  const [execPath, ...execArgv] = [...prefix, process.execPath]
  const child = fork(join(import.meta.dirname, script), {
    execPath,
    execArgv,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const ask = (command: string, parameters: Answer = {}): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const onExit = (): void => reject(new Error(`${script} ended during ${command}`))
      child.once('exit', onExit)
      child.once('message', (message) => {
        child.removeListener('exit', onExit)
        const answer = message as { error?: string; value?: Answer } // because: sides are ours
        if (answer.error === undefined) resolve(answer.value ?? {})
        else reject(new Error(`${script} ${command}: ${answer.error}`))
      })
      child.send({ command, parameters })
    })
  return {
    process: child,
    ask,
    cpuSeconds: async () => Number((await ask('cpu'))['seconds']),
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect()
      const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
      await ended
      clearTimeout(timer)
    },
  }
}

/** The child's part: answers commands until the parent is gone. */
export function serveSide(commands: Commands): void {
  const all: Commands = {
    cpu: () => {
      const { user, system } = process.cpuUsage()
      return { seconds: (user + system) / 1e6 }
    },
    memory: () => ({ residentBytes: process.memoryUsage.rss() }),
    ...commands,
  }
  process.on('message', (message) => {
    const { command, parameters } = message as { command: string; parameters: Answer } // because: from startSide
    const run = async (): Promise<Answer> => {
      const handler = all[command]
      if (handler === undefined) throw new Error('no such command')
      return handler(parameters)
    }
    run().then(
      (value) => process.send?.({ value }),
      (error: unknown) =>
        process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    )
  })
  process.once('disconnect', () => process.exit(0))
}
