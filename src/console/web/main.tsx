/** Entry of the page. */
import { render } from 'preact'
import { App } from './app.tsx'
import { runLive } from './store.ts'
import './style.css'

const root = document.getElementById('page')
if (root !== null) render(<App />, root)
void runLive()
