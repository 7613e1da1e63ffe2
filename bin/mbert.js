#!/usr/bin/env node
import { main } from '../dist/commands/main.js';
import { endOnSignals, outliveReaders } from '../dist/commands/signals.js';

endOnSignals();
outliveReaders();
process.exitCode = await main(process.argv.slice(2));
