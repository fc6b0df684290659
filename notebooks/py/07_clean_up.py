# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 07 Clean up
#
# What is left over is forgotten, and then it costs money, or is somebody's way in. Taking it away has an order.
#
# **The one idea here:** *detach* the role from instances, *revoke* its policies, *delete* the policies and the role.
# Whatever is created from here is noted in a **ledger**, a file on this machine, *before* it is created. So the clean-up
# works tomorrow too, or after a crash.
#
# Everything here happens in the **sandbox** on this machine. With `rr.connect("live")` only what was made from here, in
# that account, is touched, and you are asked first. After a restart of the kernel, run the cells from the top.

# %% tags=["setup"]
import ramrole_nb as rr

cloud = rr.connect()
lesson = rr.lesson(cloud, "07", made_for="0.1.0")
lesson.prepare()

# %% [markdown]
# Where this plays (*SANDBOX* or *LIVE*), and how far you are. If this notebook is older than the package,
# a note appears here.

# %% tags=["setup"]
lesson

# %% [markdown]
# ## What is there?
#
# Everything you made here and have not undone, in the order in which it would be undone, and why in this order. Nothing
# is changed by looking. (The panel has a button that cleans up. Leave it for the end: the exercises need what is there.)

# %% tags=["panel"]
rr.widgets.CleanUpPanel(cloud)

# %% tags=["typed"]
cloud.ledger()

# %% [markdown]
# ## What goes wrong: the wrong order
#
# RAM refuses to delete a role while it holds a policy, as `EcsRamRole` does. An attached role without one it deletes, and
# leaves the instance broken. So detach first.

# %% tags=["typed"]
with rr.show_error():
    cloud.roles["EcsRamRole"].delete()

# %% [markdown]
# ## What goes wrong: the page's own policy
#
# Alibaba Cloud's [documentation page on instance RAM roles](https://help.aliyun.com/zh/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance)
# has a sample policy for the person who manages instance roles. It allows creating a role,
# granting and attaching it. The sandbox has a user `operator` with that very policy, word for word. So `operator` can
# make a role:

# %% tags=["setup"]
with rr.show_error():
    rr.connect(user="operator").roles.create("MadeByOperator").grant("AliyunOSSReadOnlyAccess")

# %% [markdown]
# And now away with it. The caller's own policies are read before the first call, so nothing is left half done. The card
# names what the page's policy forgot first: `ram:DetachPolicyFromRole`. `ram:DeleteRole` is missing too, and so is
# `ram:DeletePolicy`, which custom policies need.

# %% tags=["typed"]
with rr.show_error():
    rr.connect(user="operator").roles["MadeByOperator"].delete(revoke=True)

# %% [markdown]
# In the panel, press **Revoke policy**: the same card. The table above the buttons says it before you try.

# %% tags=["panel"]
rr.widgets.RolePanel(rr.connect(user="operator"), name="MadeByOperator")

# %% [markdown]
# Would `operator` get through the whole list? Look at the last column, *may you*.

# %% tags=["panel"]
rr.widgets.CleanUpPanel(rr.connect(user="operator"))

# %% tags=["typed"]
rr.connect(user="operator").ledger()

# %% [markdown]
# What was made with too few rights to undo it stays, until someone with more comes: you, at the end of this notebook. The
# ledger has it, whoever made it here.
#
# ## Exercises
#
# For exercise 1, if you click:

# %% tags=["panel"]
rr.widgets.InstancesPanel(cloud, role="retired-app", instances=["stopped-1"])

# %% [markdown]
# ### Exercise 1
#
# Take the role **retired-app** away altogether, and leave its neighbour **kept-app** as it is. (By clicks: above, **Detach
# role**. No panel deletes a role: **Show solution** has the lines, **Do it for me** runs them.)

# %% tags=["panel"]
rr.widgets.ExercisePanel(lesson.q1)

# %%
# Your code, if you type it.

# %% tags=["typed"]
lesson.q1.check()

# %% [markdown]
# ### Exercise 2
#
# Data is left over too: delete the two objects below `scratch/` in `sandbox-photos`, and no others. (No panel deletes
# objects: **Show solution** has the lines, **Do it for me** runs them.)

# %% tags=["panel"]
rr.widgets.ExercisePanel(lesson.q2)

# %%
# Your code, if you type it.

# %% tags=["typed"]
lesson.q2.check()

# %% [markdown]
# ### Exercise 3
#
# Nothing of yours is left at all. (The next step does it, if you have not.)

# %% tags=["panel"]
rr.widgets.ExercisePanel(lesson.q3)

# %%
# Your code, if you type it.

# %% tags=["typed"]
lesson.q3.check()

# %% [markdown]
# ## Everything, at last
#
# In the panel: press **Clean up**, then **Go ahead**. It may be pressed again: what failed stays in the ledger, what is
# gone already is no error.

# %% tags=["panel"]
rr.widgets.CleanUpPanel(cloud)

# %% [markdown]
# The same, typed. Read the *undo* column from top to bottom: detach, revoke, delete.

# %% tags=["typed"]
cloud.clean_up()

# %% [markdown]
# Is it true? The account says so itself.

# %%
cloud.roles

# %% [markdown]
# ## On the wire
#
# `DetachInstanceRamRole` comes before `DetachPolicyFromRole`, and that before `DeleteRole`.

# %% tags=["panel"]
rr.widgets.WirePanel(cloud)

# %% tags=["typed"]
cloud.wire

# %% [markdown]
# ## What you learned
#
# 1. The order: detach, revoke, delete. RAM refuses a role that holds a policy; an attached one it deletes, and leaves the
#    instance broken.
# 2. Whoever creates should be able to undo: the page's sample policy forgets that.
# 3. A ledger that is written *before* each change makes cleaning up possible after a crash.
#
# Ask yourself:
#
# <details><summary>Why is a change noted before it is made, not after?</summary>If the program dies in between, a note
# too many does no harm (there is nothing to undo), a note too few leaves something behind.</details>
#
# <details><summary>A role is deleted while an instance still has it. What does the instance get?</summary>It still names
# the role, and its programs get no new credential.</details>
#
# <details><summary>You made a role with another tool. Does the clean-up take it away?</summary>No. It touches only what
# was made from here. Look at cloud.roles for the rest.</details>
#
# Back to [00 Start here](00_start_here.ipynb), or begin anew: each notebook sets up what it needs. `cloud.reset()` (the
# button **Put the world back** of the world panel) makes the sandbox as it was on the first day.
