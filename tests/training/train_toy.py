"""Train the toy task in a process of its own; apart, so that its module has the same name there as in the tests."""

from training_toy import main

main()
