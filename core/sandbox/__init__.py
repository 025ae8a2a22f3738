"""Confine a child process that handles what strangers sent: files, system calls, network.

`command` starts a module in a process that gives up everything its policy does not name, before it
imports the module. Standard library only: nothing else is loaded before the limits hold.
"""
