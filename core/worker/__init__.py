"""The only room that imports torch: one job per process, told what to do by a run folder."""
