function main() { return {x: 1} }
