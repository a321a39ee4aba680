/**
 * Keeps the processor cores from halting while something short is measured, as switching C-states off does where one
 * may. In a virtual machine waking a halted core costs 30-50 us, twice a call, whoever makes the call: more than the
 * call itself. One process per core spins in the idle scheduling class, so it runs only where nobody else wants to.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'

/** Dispose to let the cores rest again. */
export interface Awake extends Disposable {
  /** False where the system has no idle scheduling class: then nothing spins. */
  readonly works: boolean
}

export async function keepAwake(): Promise<Awake> {
  const started = await Promise.all(Array.from({ length: availableParallelism() }, spin))
  return {
    works: started.every((child) => child !== undefined),
    [Symbol.dispose]() {
      for (const child of started) child?.kill('SIGKILL')
    },
  }
}

/** Ends by itself when the bench dies: its standard input closes. */
async function spin(): Promise<ChildProcess | undefined> {
  const loop =
    "process.stdin.resume();process.stdin.on('end',()=>process.exit());const f=()=>{for(let i=0;i<1e6;i++);setImmediate(f)};f()"
  const child = spawn('chrt', ['--idle', '0', process.execPath, '-e', loop], {
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  return new Promise((resolve) => {
    child.once('error', () => resolve(undefined))
    child.once('exit', () => resolve(undefined))
    setTimeout(() => resolve(child.exitCode === null ? child : undefined), 300)
  })
}
