# Sourced by buildspecs: the packages of the platform, with the Node.js that is pinned among them. What is sourced ends as its last command does.
npm ci --loglevel=error || return 1
export PATH="$PWD/node_modules/.bin:$PATH"
