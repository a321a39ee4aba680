/**
 * Runs the commands that build a network lab, each within a time limit, and removes labs whose process is gone.
 * It only ever touches namespaces that carry the lab's own prefix.
 */
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'

/** What a finished command left. `code` is null when a signal ended it. */
export interface CommandResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  readonly input?: string
  readonly timeoutMs?: number
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
}

const defaultTimeoutMs = 15_000
const namePattern = /^skein-(\d+)-\d+-/

/** Administration tools live in sbin, which is not on every user's PATH. */
export const labPath = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`

/** Runs a command to its end; any exit code is an answer. @throws when it cannot start or outlives its time. */
export async function runCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const timeoutMs = options.timeoutMs ?? defaultTimeoutMs
  const child = spawn(file, args, {
    cwd: options.cwd,
    env: { ...(options.env ?? process.env), PATH: labPath },
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  // A command may end without reading its input; its exit code tells, not the broken pipe.
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)])
  if (child.killed)
    throw new Error(`not done after ${timeoutMs} ms: ${file} ${args.join(' ')}\n${stdout}${stderr}`)
  return { code, stdout, stderr }
}

/** Runs a command that must succeed. @returns its output. */
export async function mustRun(file: string, args: readonly string[], input?: string): Promise<string> {
  const result = await runCommand(file, args, input === undefined ? {} : { input })
  if (result.code === 0) return result.stdout
  throw new Error(
    `${file} ${args.join(' ')} failed (${result.code}): ${result.stderr || result.stdout}\n${input ?? ''}`,
  )
}

/** Runs `ip` commands in one go, inside a namespace. */
export async function ipBatch(namespace: string, lines: readonly string[]): Promise<void> {
  await mustRun('ip', ['-n', namespace, '-batch', '-'], `${lines.join('\n')}\n`)
}

/** Ends the processes left inside a namespace, by id, and removes it. Does nothing when it is gone. */
export async function removeNamespace(namespace: string): Promise<void> {
  if (!namePattern.test(namespace)) throw new Error(`not a lab's namespace: ${namespace}`)
  const left = await runCommand('ip', ['netns', 'pids', namespace])
  for (const pid of left.stdout.split(/\s+/).filter(Boolean)) sendSignal(Number(pid), 'SIGKILL')
  await runCommand('ip', ['netns', 'delete', namespace])
}

/** Removes what labs of processes that no longer run left behind. */
export async function removeStaleLabs(): Promise<void> {
  const listed = await mustRun('ip', ['netns', 'list'])
  for (const line of listed.split('\n')) {
    const namespace = line.split(' ')[0] ?? ''
    const pid = namePattern.exec(namespace)?.[1]
    if (pid !== undefined && !isAlive(Number(pid))) await removeNamespace(namespace)
  }
}

/** Signals a process; one that is gone is fine. @returns whether it was there. */
export function sendSignal(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false
    throw error
  }
}

function isAlive(pid: number): boolean {
  try {
    return sendSignal(pid, 0)
  } catch {
    return true // because: not permitted to signal it means that it runs, as someone else
  }
}
